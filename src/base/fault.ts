/**
 * base: what every room may use. It knows nothing of sockets, files, HTTP or InfluxDB.
 *
 * A Fault is the one error type of culvert: a code from a closed table that says whom to blame and
 * whether trying again helps. People read `message`; programs and tests read `code`.
 */

/** Whose mistake or trouble it is: decides which log a fault belongs in and who must act. */
export type Blame = "client" | "peer" | "upstream" | "operator" | "self";

/** Whether the same thing may succeed if it is done again: never, later (after a wait), or now. */
export type Retry = "never" | "later" | "now";

interface Verdict {
  readonly blame: Blame;
  readonly retry: Retry;
}

const TABLE = {
  "config.invalid": { blame: "operator", retry: "never" },
  "secret.unavailable": { blame: "operator", retry: "later" },
  "state.unusable": { blame: "operator", retry: "never" },
  "usage.invalid": { blame: "operator", retry: "never" },

  "crypto.unsupported": { blame: "operator", retry: "never" },
  "crypto.key-refused": { blame: "peer", retry: "never" },
  "crypto.nonce-exhausted": { blame: "self", retry: "now" },
  "identity.malformed": { blame: "peer", retry: "never" },
  "identity.untrusted": { blame: "peer", retry: "never" },

  "attribute.invalid": { blame: "operator", retry: "never" },
  "policy.invalid": { blame: "operator", retry: "never" },
  "policy.denied": { blame: "client", retry: "later" },

  "ticket.malformed": { blame: "operator", retry: "never" },
  "ticket.foreign": { blame: "operator", retry: "never" },
  "ticket.expired": { blame: "operator", retry: "never" },
  "ticket.used": { blame: "operator", retry: "never" },
  "ticket.revoked": { blame: "operator", retry: "never" },
  "credential.malformed": { blame: "peer", retry: "never" },
  "credential.untrusted": { blame: "peer", retry: "never" },
  "credential.expired": { blame: "peer", retry: "later" },
  "member.unknown": { blame: "operator", retry: "later" },
  "member.revoked": { blame: "operator", retry: "later" },
  "member.locked": { blame: "operator", retry: "later" },
  "enrollment.missing": { blame: "operator", retry: "later" },
  "authority.unavailable": { blame: "upstream", retry: "later" },
  "authority.limit": { blame: "self", retry: "later" },
  "admin.unreachable": { blame: "operator", retry: "later" },

  "handshake.failed": { blame: "peer", retry: "later" },
  "handshake.version": { blame: "peer", retry: "never" },
  "handshake.unauthorized": { blame: "operator", retry: "later" },
  "handshake.timeout": { blame: "peer", retry: "later" },

  "channel.tampered": { blame: "peer", retry: "now" },
  "channel.truncated": { blame: "peer", retry: "now" },
  "channel.protocol": { blame: "peer", retry: "later" },
  "channel.limit": { blame: "peer", retry: "later" },
  "channel.timeout": { blame: "peer", retry: "now" },
  "channel.closed": { blame: "peer", retry: "now" },
  "channel.draining": { blame: "peer", retry: "now" },

  "stream.reset": { blame: "peer", retry: "now" },
  "stream.refused": { blame: "peer", retry: "later" },
  "stream.limit": { blame: "self", retry: "later" },

  "transport.address-unusable": { blame: "operator", retry: "never" },
  "transport.unreachable": { blame: "peer", retry: "later" },

  "relay.unavailable": { blame: "peer", retry: "later" },
  "relay.denied": { blame: "operator", retry: "later" },
  "relay.limit": { blame: "peer", retry: "later" },

  "tunnel.down": { blame: "peer", retry: "later" },
  "lease.unavailable": { blame: "upstream", retry: "later" },
  "lease.limit": { blame: "peer", retry: "later" },
  "lease.denied": { blame: "operator", retry: "later" },
  "lease.rejected": { blame: "upstream", retry: "now" },

  "request.malformed": { blame: "client", retry: "never" },
  "request.method": { blame: "client", retry: "never" },
  "request.origin": { blame: "client", retry: "never" },
  "request.route": { blame: "client", retry: "never" },
  "request.head-too-large": { blame: "client", retry: "never" },
  "request.body-too-large": { blame: "client", retry: "never" },
  "request.slow": { blame: "client", retry: "later" },
  "request.aborted": { blame: "client", retry: "never" },
  "request.overload": { blame: "self", retry: "later" },

  "upstream.unreachable": { blame: "upstream", retry: "later" },
  "upstream.timeout": { blame: "upstream", retry: "later" },
  "upstream.malformed": { blame: "upstream", retry: "later" },
  "upstream.paced": { blame: "upstream", retry: "later" },
  "upstream.denied": { blame: "operator", retry: "later" },

  "internal.bug": { blame: "self", retry: "later" },
} as const satisfies Record<string, Verdict>;

export type FaultCode = keyof typeof TABLE;

/** Every code there is, in table order: for exhaustive tests and the reference page. */
export const faultCodes = Object.keys(TABLE) as readonly FaultCode[];

export class Fault extends Error {
  readonly code: FaultCode;
  readonly blame: Blame;
  readonly retry: Retry;
  /** How long to wait before trying again, in milliseconds, where the thrower knows. */
  readonly retryAfterMs: number | undefined;

  constructor(code: FaultCode, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "Fault";
    this.code = code;
    this.blame = TABLE[code].blame;
    this.retry = TABLE[code].retry;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** A thrown value as a Fault: itself if it is one, else `internal.bug` with the value as its cause. */
  static from(thrown: unknown, code: FaultCode = "internal.bug"): Fault {
    if (thrown instanceof Fault) return thrown;
    return new Fault(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}
