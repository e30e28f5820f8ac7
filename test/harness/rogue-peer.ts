/**
 * A peer that has a valid identity and no manners: past the handshake it seals whatever frames it is
 * told to, and opens what comes back.
 */
import { type Frame, FrameWriter, readFrames } from "../../src/channel/frame.ts";
import { ChannelHandshake, type HandshakeOutcome } from "../../src/channel/handshake.ts";
import { encodeHello } from "../../src/channel/hello.ts";
import { type ChannelLimits, defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import { MAX_MESSAGE_BYTES, MessageReader } from "../../src/channel/message-reader.ts";
import { encodePrelude, readPrelude } from "../../src/channel/prelude.ts";
import type { Session } from "../../src/channel/session.ts";
import { HandshakeState } from "../../src/crypto/handshake-state.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { TAG_BYTES } from "../../src/crypto/provider.ts";
import { generateIdentity } from "../../src/identity/identity.ts";

export interface RogueFrame {
  readonly type: number;
  readonly flags?: number;
  readonly streamId?: number;
  readonly payload?: Uint8Array;
}

export function rogueParty(): LocalParty {
  return new LocalParty({
    provider: nodeProvider,
    identity: generateIdentity(nodeProvider),
    software: "rogue/1",
    instance: new Uint8Array(16),
  });
}

export class RogueInitiator {
  readonly received: { type: number; flags: number; streamId: number; payload: Uint8Array }[] = [];
  readonly #session: Session;
  readonly #reader = new MessageReader();
  readonly #handshake: ChannelHandshake;
  #outcome: HandshakeOutcome | undefined;
  nowMs = 0;

  constructor(session: Session, limits: ChannelLimits = defaultLimits) {
    this.#session = session;
    const prelude = encodePrelude("AESGCM", "");
    this.#handshake = new ChannelHandshake({
      initiator: true,
      prelude,
      party: rogueParty(),
      limits,
      authorize: () => undefined,
      nowMs: 0,
      wallMs: Date.now(),
    });
    session.handleBytes(prelude.bytes, 0);
    session.handleBytes(framed(this.#handshake.start()), 0);
    this.collect();
  }

  /** Frames go out in one message. */
  send(...frames: RogueFrame[]): void {
    this.sendPlaintext(plaintextOf(frames));
  }

  sendPlaintext(plaintext: Uint8Array): void {
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
    this.#outcome!.sender.sealInto(plaintext, sealed, 0);
    this.#session.handleBytes(framed(sealed), this.nowMs);
    this.collect();
  }

  /** Takes what the session has to say. */
  collect(): void {
    for (let bytes = this.#session.pollSend(); bytes; bytes = this.#session.pollSend()) {
      this.#reader.push(bytes.slice(), (message) => this.#take(message));
    }
  }

  of(type: number): Frame[] {
    return this.received.filter((frame) => frame.type === type);
  }

  #take(message: Uint8Array): boolean {
    if (this.#outcome) {
      readFrames(this.#outcome.receiver.open(message), (frame) => {
        this.received.push({ ...frame, payload: frame.payload.slice() });
      });
      return true;
    }
    const { reply, outcome } = this.#handshake.handleMessage(message);
    this.#outcome = outcome;
    if (reply) this.#session.handleBytes(framed(reply), 0);
    return true;
  }
}

/** The other way round: answers an initiator's handshake, and then says `frames` in place of a welcome. */
export function answerWith(session: Session, ...frames: RogueFrame[]): void {
  const prelude = readPrelude(session.pollSend()!)!;
  const handshake = new ChannelHandshake({
    initiator: false,
    prelude,
    party: rogueParty(),
    limits: defaultLimits,
    authorize: () => undefined,
    nowMs: 0,
    wallMs: Date.now(),
  });
  const { reply } = handshake.handleMessage(session.pollSend()!.slice(2));
  session.handleBytes(framed(reply!), 0);
  const { outcome } = handshake.handleMessage(session.pollSend()!.slice(2));
  const plaintext = plaintextOf(frames);
  const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
  outcome!.sender.sealInto(plaintext, sealed, 0);
  session.handleBytes(framed(sealed), 0);
}

/** Runs a handshake as the initiator with a hello of any bytes; `attest` attests the key that it uses. */
export function sendHello(session: Session, hello: (attest: () => Uint8Array) => Uint8Array): void {
  const party = rogueParty();
  const staticKeyPair = party.channelKey(0);
  const prelude = encodePrelude("AESGCM", "");
  const noise = new HandshakeState({
    provider: nodeProvider,
    suite: "AESGCM",
    initiator: true,
    prologue: prelude.bytes,
    staticKeyPair,
  });
  session.handleBytes(prelude.bytes, 0);
  session.handleBytes(framed(noise.writeMessage(new Uint8Array(0))), 0);
  noise.readMessage(session.pollSend()!.slice(2));
  const attest = (): Uint8Array => party.attestationOf(staticKeyPair, Date.now());
  session.handleBytes(framed(noise.writeMessage(hello(attest))), 0);
}

/** A hello as an honest peer would say it, but for what is given. */
export function helloWith(
  attestation: Uint8Array,
  overrides: { maxStreams?: number; windowBytes?: number; software?: string } = {},
): Uint8Array {
  return encodeHello({
    attestation,
    maxStreams: 256,
    windowBytes: 65_536,
    wallMs: Date.now(),
    software: "rogue/1",
    instance: new Uint8Array(16),
    ...overrides,
  });
}

function plaintextOf(frames: RogueFrame[]): Uint8Array {
  const writer = new FrameWriter(MAX_MESSAGE_BYTES - TAG_BYTES);
  for (const { type, flags = 0, streamId = 0, payload = new Uint8Array(0) } of frames)
    writer.put(type, flags, streamId, payload);
  return writer.finish();
}

export function framed(message: Uint8Array): Uint8Array {
  return Uint8Array.from([message.length >>> 8, message.length & 0xff, ...message]);
}
