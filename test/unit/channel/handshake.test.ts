import { describe, expect, it } from "vitest";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import type { DhKeyPair } from "../../../src/crypto/provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { refusing } from "../../harness/channel-nodes.ts";
import { framed, helloWith, rogueParty, sendHello } from "../../harness/rogue-peer.ts";
import { byteByByte, type Direction, SessionPair, type Tamper } from "../../harness/session-pair.ts";

const identities = { initiator: generateIdentity(nodeProvider), responder: generateIdentity(nodeProvider) };

/** Both ends after a handshake in which one bit of one message was flipped. */
function withFlippedBit(direction: Direction, index: number, bit: number): SessionPair {
  const pair = new SessionPair({
    identities,
    tamper: (bytes, way, at) => {
      if (way === direction && at === index) bytes[bit >> 3]! ^= 1 << (bit & 7);
      return [bytes];
    },
  });
  pair.settle();
  // A flipped length may make an end wait for bytes that never come.
  pair.nowMs = defaultLimits.handshakeTimeoutMs;
  pair.initiator.session.handleTick(pair.nowMs);
  pair.responder.session.handleTick(pair.nowMs);
  return pair;
}

function lengthsOfMessages(): { toResponder: number[]; toInitiator: number[] } {
  const lengths = { toResponder: [] as number[], toInitiator: [] as number[] };
  new SessionPair({
    identities,
    tamper: (bytes, way) => {
      lengths[way].push(bytes.length);
      return [bytes];
    },
  }).settle();
  return lengths;
}

describe("handshake", () => {
  it("tells both ends who the other is", () => {
    const pair = new SessionPair({ identities }).settle();
    expect(pair.initiator.established.map((peer) => peer.identifier)).toEqual([
      identities.responder.identifier,
    ]);
    expect(pair.responder.established.map((peer) => peer.identifier)).toEqual([
      identities.initiator.identifier,
    ]);
  });

  it("works with ChaChaPoly, the initiator's choice", () => {
    const pair = new SessionPair({ suite: "ChaChaPoly" }).settle();
    expect([pair.initiator.session.established, pair.responder.session.established]).toEqual([true, true]);
  });

  it("C9 works byte by byte", () => {
    const pair = new SessionPair({ tamper: byteByByte }).settle();
    expect([pair.initiator.session.established, pair.responder.session.established]).toEqual([true, true]);
  });

  // Prelude, e, and s se; then the answer e ee s es.
  for (const [name, direction, index] of [
    ["prelude", "toResponder", 0],
    ["message 1", "toResponder", 1],
    ["message 2", "toInitiator", 0],
    ["message 3", "toResponder", 2],
  ] as const) {
    it(`C3 every bit of the ${name} flipped: abort at both ends, nothing established`, () => {
      const bits = lengthsOfMessages()[direction][index]! * 8;
      const survived: number[] = [];
      for (let bit = 0; bit < bits; bit++) {
        const pair = withFlippedBit(direction, index, bit);
        const ends = [pair.initiator, pair.responder];
        const clean = ends.every((end) => end.established.length === 0 && !end.session.established);
        const closed = ends.every((end) => end.end !== undefined && end.end !== "orderly");
        if (!clean || !closed) survived.push(bit);
      }
      expect(survived).toEqual([]);
    });
  }

  it("C4 the bytes of one whole session replayed to the responder: no session, no stream", () => {
    const recorded: Uint8Array[] = [];
    const first = new SessionPair({
      identities,
      tamper: (bytes, way) => {
        if (way === "toResponder") recorded.push(bytes.slice());
        return [bytes];
      },
    }).settle();
    first.initiator.session.openStream(Uint8Array.of(1), { onData() {}, onEnd() {}, onReset() {} });
    first.settle();
    expect(first.responder.accepted).toHaveLength(1);

    const second = new SessionPair({ identities });
    for (const bytes of recorded) second.responder.session.handleBytes(bytes, 0);
    expect(second.responder.end).toBe("handshake.failed");
    expect(second.responder.accepted).toHaveLength(0);
    expect(second.responder.established).toHaveLength(0);
  });

  const edits: [string, (prelude: Uint8Array) => Uint8Array][] = [
    ["version", (prelude) => prelude.with(7, 2)],
    ["suite", (prelude) => prelude.with(8, 2)],
    ["route", (prelude) => prelude.with(10, "x".charCodeAt(0))],
    ["route cut off", (prelude) => prelude.with(9, 0).slice(0, 10)],
  ];
  for (const [what, edit] of edits) {
    it(`C8 a relay edits the ${what}: the handshake fails`, () => {
      const tamper: Tamper = (bytes, way, index) => [
        way === "toResponder" && index === 0 ? edit(bytes) : bytes,
      ];
      // The responder serves whatever route the edited prelude names: the prologue alone must catch it.
      const edited = what === "route" ? "xutlet" : what === "route cut off" ? "" : "outlet";
      const pair = new SessionPair({ route: "outlet", responderRoute: edited, tamper }).settle();
      pair.initiator.session.handleTransportEnd();
      pair.responder.session.handleTransportEnd();
      for (const end of [pair.initiator, pair.responder]) {
        expect(end.established).toHaveLength(0);
        expect(end.end).toMatch(/^handshake\./);
      }
    });
  }

  it("a route that is not ours is refused at its prelude", () => {
    const pair = new SessionPair({ route: "somewhere", responderRoute: "" }).settle();
    expect(pair.responder.end).toBe("handshake.version");
  });

  it("garbage in place of a prelude is refused at its first byte", () => {
    const { responder } = new SessionPair();
    responder.session.handleBytes(Uint8Array.of(0x16), 0);
    expect(responder.end).toBe("handshake.version");
    expect(responder.session.pollSend()).toBeUndefined();
  });

  it("C11 our own identity at the other end is refused by both", () => {
    const twins = { initiator: identities.initiator, responder: identities.initiator };
    const pair = new SessionPair({ identities: twins }).settle();
    expect(pair.initiator.end).toBe("handshake.failed");
    expect(pair.initiator.closings[0]?.message).toContain("our own identity");
    pair.responder.session.handleTransportEnd();
    expect(pair.responder.established).toHaveLength(0);
  });

  it("C11 an inlet that the outlet does not know: both ends name the inlet's identifier", () => {
    const pair = new SessionPair({
      identities,
      responderAuthorizes: refusing,
    }).settle();
    for (const end of [pair.initiator, pair.responder]) {
      expect(end.end).toBe("handshake.unauthorized");
      expect(end.closings[0]?.message).toContain(identities.initiator.identifier);
    }
    expect(pair.initiator.established).toHaveLength(0);
    expect(pair.responder.established).toHaveLength(0);
  });

  it("C11 an outlet under another pin: the inlet names it and never shows itself, the outlet names itself", () => {
    const pair = new SessionPair({
      identities,
      initiatorAuthorizes: refusing,
    }).settle();
    expect(pair.initiator.end).toBe("handshake.unauthorized");
    expect(pair.initiator.closings[0]?.message).toContain(identities.responder.identifier);
    expect(pair.sent.toResponder).toBe(2);
    pair.responder.session.handleTransportEnd();
    expect(pair.responder.end).toBe("handshake.failed");
    expect(pair.responder.closings[0]?.message).toContain(identities.responder.identifier);
  });

  it("C10 a silent connection ends at the deadline and not before", () => {
    const { responder } = new SessionPair();
    responder.session.handleTick(defaultLimits.handshakeTimeoutMs - 1);
    expect(responder.end).toBeUndefined();
    responder.session.handleTick(defaultLimits.handshakeTimeoutMs);
    expect(responder.end).toBe("handshake.timeout");
  });

  it("C10 one that drips its bytes ends at the same deadline", () => {
    const recorded: number[] = [];
    new SessionPair({
      tamper: (bytes, way) => {
        if (way === "toResponder") recorded.push(...bytes);
        return [bytes];
      },
    }).settle();
    const { responder } = new SessionPair();
    for (let nowMs = 0; nowMs < defaultLimits.handshakeTimeoutMs; nowMs += 500) {
      responder.session.handleBytes(Uint8Array.of(recorded.shift()!), nowMs);
      responder.session.handleTick(nowMs);
    }
    responder.session.handleTick(defaultLimits.handshakeTimeoutMs);
    expect(responder.end).toBe("handshake.timeout");
  });

  it("a message longer than any handshake is refused at its length, before it is held", () => {
    const { responder } = new SessionPair({
      tamper: (bytes, _way, index) => [index === 0 ? bytes : Uint8Array.of(0xff, 0xff, 0)],
    }).settle();
    expect(responder.end).toBe("channel.protocol");
  });

  it("the welcome does not come: the initiator gives up at the deadline", () => {
    const pair = new SessionPair({
      tamper: (bytes, way, index) => (way === "toInitiator" && index === 1 ? [] : [bytes]),
    }).settle();
    expect(pair.initiator.session.established).toBe(false);
    pair.initiator.session.handleTick(defaultLimits.handshakeTimeoutMs);
    expect(pair.initiator.end).toBe("handshake.timeout");
  });

  it("a device in 1970 is taken in: it puts the outlet's date on its attestation", () => {
    const pair = new SessionPair({ wallMs: { initiator: 0 } }).settle();
    expect(pair.responder.session.established).toBe(true);
  });

  it("a stream cannot be opened before the welcome", () => {
    const { initiator } = new SessionPair();
    expect(() =>
      initiator.session.openStream(Uint8Array.of(1), { onData() {}, onEnd() {}, onReset() {} }),
    ).toThrow(expect.objectContaining({ code: "tunnel.down" }));
  });
});

describe("hello", () => {
  const cases: [string, Parameters<typeof sendHello>[1], string | undefined][] = [
    ["an honest one", (attest) => helloWith(attest()), undefined],
    ["no streams", (attest) => helloWith(attest(), { maxStreams: 0 }), "handshake.failed"],
    ["too many streams", (attest) => helloWith(attest(), { maxStreams: 65_537 }), "handshake.failed"],
    ["a window of 1023", (attest) => helloWith(attest(), { windowBytes: 1_023 }), "handshake.failed"],
    ["a window of 2^31", (attest) => helloWith(attest(), { windowBytes: 2 ** 31 }), "handshake.failed"],
    [
      "software with an escape",
      (attest) => helloWith(attest(), { software: "a\u001b[2J" }),
      "handshake.failed",
    ],
    [
      "software of 65 bytes",
      (attest) => helloWith(attest(), { software: "a".repeat(65) }),
      "handshake.failed",
    ],
    ["an unknown critical field", (attest) => plus(helloWith(attest()), [0x7f, 0, 0]), "handshake.failed"],
    ["an unknown optional field", (attest) => plus(helloWith(attest()), [0x80, 0, 1, 9]), undefined],
    ["a doubled field", (attest) => plus(helloWith(attest()), [4, 0, 1, 65]), "handshake.failed"],
    ["a field cut short", (attest) => plus(helloWith(attest()), [0x80, 0, 2, 9]), "handshake.failed"],
    ["nothing at all", () => new Uint8Array(0), "handshake.failed"],
    ["an attestation of noughts", () => helloWith(new Uint8Array(141)), "identity.malformed"],
    ["no attestation bytes", () => helloWith(new Uint8Array(0)), "identity.malformed"],
  ];
  for (const [what, hello, code] of cases) {
    it(`${what}: ${code ?? "accepted"}`, () => {
      const { responder } = new SessionPair();
      sendHello(responder.session, hello);
      expect(responder.end).toBe(code);
      expect(responder.established).toHaveLength(code ? 0 : 1);
    });
  }

  it("C2 an attestation of another channel key is refused", () => {
    const { responder } = new SessionPair();
    const other = nodeProvider.generateDhKeyPair();
    sendHello(responder.session, () => helloWith(rogueAttestation(other)));
    expect(responder.end).toBe("identity.untrusted");
  });

  it("C2 an all-zero ephemeral key is refused", () => {
    const { responder } = new SessionPair({
      tamper: (bytes, way, index) => [
        way === "toResponder" && index === 1 ? framed(new Uint8Array(32)) : bytes,
      ],
    }).settle();
    expect(responder.end).toBe("crypto.key-refused");
  });
});

function rogueAttestation(keyPair: DhKeyPair): Uint8Array {
  return rogueParty().attestationOf(keyPair, Date.now());
}

function plus(bytes: Uint8Array, more: number[]): Uint8Array {
  return Uint8Array.from([...bytes, ...more]);
}
