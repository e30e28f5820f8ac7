/**
 * What an inlet is given beside a leased token, so that its outlet, which forgets tokens when it ends, can
 * take the lease back. InfluxDB shows a hash of a token and no more; the seal says that this outlet once
 * handed this very token, as this lease, to this member.
 */
import { Fault } from "../base/fault.ts";
import { Secret } from "../base/secret.ts";
import type { CryptoProvider } from "../crypto/provider.ts";

/** What a member says that it still has. */
export interface LeaseClaim {
  readonly leaseId: string;
  readonly token: Secret;
  readonly resume: Secret;
}

export interface ResumeSealOptions {
  /** Whose leases, as in their descriptions: another outlet's, or another service's, are not taken. */
  readonly realm: string;
  /** At least 32 bytes, the same after a restart, and used for nothing else. */
  readonly key: Uint8Array;
  readonly crypto: Pick<CryptoProvider, "hmacSha256">;
}

const DOMAIN = "culvert lease resume v1";

export class ResumeSeal {
  readonly #options: ResumeSealOptions;

  constructor(options: ResumeSealOptions) {
    if (options.key.length < 32) throw new Fault("internal.bug", "the resume key is under 32 bytes");
    this.#options = options;
  }

  /** HMAC-SHA-256, 43 characters of base64url. */
  seal(lease: { readonly leaseId: string; readonly member: string; readonly token: Secret }): Secret {
    const { realm, key, crypto } = this.#options;
    const fields = [DOMAIN, realm, lease.leaseId, lease.member, lease.token.reveal()];
    return new Secret(base64url(crypto.hmacSha256(key, ...fields.map(framed))));
  }

  /** Whether this is what the member was given, in constant time. */
  fits(member: string, { leaseId, token, resume }: LeaseClaim): boolean {
    return this.seal({ leaseId, member, token }).equals(resume.reveal());
  }
}

/** A field and its length before it: no two lists of fields have the same bytes. */
function framed(field: string): Uint8Array {
  const text = new TextEncoder().encode(field);
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  return bytes;
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
