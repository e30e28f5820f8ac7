import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { type AnswererStep, JoinAnswerer } from "../../../src/channel/join-answerer.ts";
import { JoinCaller, type JoinStep } from "../../../src/channel/join-caller.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { LocalParty, type Statements } from "../../../src/channel/local-party.ts";
import type { RelayReplyHead } from "../../../src/channel/relay-heads.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";

const device = generateIdentity(nodeProvider);
const relay = generateIdentity(nodeProvider);
const times = { nowMs: 0, wallMs: 1_700_000_000_000 };

function partyOf(identity: typeof device, statements: Statements = {}): LocalParty {
  return new LocalParty({
    ...{ provider: nodeProvider, identity, software: "culvert/0" },
    statements: () => statements,
  });
}

type Tamper = (bytes: Uint8Array, index: number) => Uint8Array[];

/** Caller and answerer tied together; the relay answers each question with `reply`. */
class Join {
  readonly steps: JoinStep[] = [];
  readonly requests: NonNullable<AnswererStep["request"]>[] = [];
  readonly caller: JoinCaller;
  #answerer: JoinAnswerer | undefined;
  #index = 0;
  readonly #tamper: Tamper;
  readonly #reply: RelayReplyHead;

  constructor(
    options: {
      tamper?: Tamper;
      reply?: RelayReplyHead;
      authorize?: ConstructorParameters<typeof JoinCaller>[0]["authorize"];
      statements?: Statements;
      suite?: "AESGCM" | "ChaChaPoly";
    } = {},
  ) {
    this.#tamper = options.tamper ?? ((bytes) => [bytes]);
    this.#reply = options.reply ?? { kind: "joined" };
    this.caller = new JoinCaller({
      party: partyOf(device, options.statements),
      limits: defaultLimits,
      suite: options.suite ?? "AESGCM",
      name: "influxdb",
      authorize: options.authorize ?? (() => undefined),
      ...times,
    });
  }

  run(): void {
    const opening = this.#pieces(this.caller.start());
    // The relay's door has gathered the prelude before anybody looks at more.
    const first = Uint8Array.from(opening.flatMap((piece) => [...piece]));
    this.#answerer = new JoinAnswerer({
      party: partyOf(relay),
      limits: defaultLimits,
      opening: first,
      ...times,
    });
    this.#answered(this.#answerer.start());
  }

  #toAnswerer(bytes: Uint8Array): void {
    for (const piece of this.#pieces(bytes)) this.#answered(this.#answerer!.handleBytes(piece));
  }

  #answered({ send, request }: AnswererStep): void {
    if (send) this.#toCaller(send);
    if (!request) return;
    this.requests.push(request);
    this.#toCaller(this.#answerer!.answer(this.#reply));
  }

  #toCaller(bytes: Uint8Array): void {
    for (const piece of this.#pieces(bytes)) {
      const step = this.caller.handleBytes(piece);
      this.steps.push(step);
      if (step.send) this.#toAnswerer(step.send);
    }
  }

  #pieces(bytes: Uint8Array): Uint8Array[] {
    return this.#tamper(bytes.slice(), this.#index++);
  }
}

const byteByByte: Tamper = (bytes) => [...bytes].map((byte) => Uint8Array.of(byte));

describe("a join", () => {
  it.each(["AESGCM", "ChaChaPoly"] as const)(
    "C9 tells the relay who asks for what, whole and byte by byte: %s",
    (suite) => {
      for (const tamper of [undefined, byteByByte]) {
        const join = new Join({ suite, statements: { credential: "c" }, ...(tamper && { tamper }) });
        join.run();
        expect(join.requests).toMatchObject([
          {
            peer: { identifier: device.identifier, credential: "c" },
            head: { kind: "join", name: "influxdb" },
          },
        ]);
        expect(join.steps.at(-1)).toEqual({ joined: true });
      }
    },
  );

  it("proves what it has for this handshake alone", () => {
    const proven: Uint8Array[] = [];
    const prove = (binding: Uint8Array) => {
      proven.push(binding.slice());
      return "proof";
    };
    const join = new Join({ statements: { pass: "p", errand: true, prove } });
    join.run();
    const [{ peer, head }] = join.requests as [Join["requests"][0]];
    expect(head.proof).toBe("proof");
    expect(peer).toMatchObject({ pass: "p", errand: true });
    expect(proven).toEqual([peer.channelBinding]);
  });

  it("shows nothing of itself to a relay that is not the one", () => {
    const sent: number[] = [];
    const join = new Join({
      statements: { credential: "c" },
      authorize: () => new Fault("handshake.unauthorized", "another relay"),
      tamper: (bytes, index) => {
        sent[index] = bytes.length;
        return [bytes];
      },
    });
    expect(() => join.run()).toThrow(expect.objectContaining({ code: "handshake.unauthorized" }));
    // Its opening and the relay's answer.
    expect(sent).toHaveLength(2);
    expect(join.requests).toEqual([]);
  });

  it("is told why not, and when to come again", () => {
    const join = new Join({ reply: { kind: "fault", code: "relay.unavailable", retryAfterMs: 1_500 } });
    expect(() => join.run()).toThrow(
      expect.objectContaining({ code: "relay.unavailable", retryAfterMs: 1_500 }),
    );
  });

  it("takes no other answer", () => {
    expect(() => new Join({ reply: { kind: "registered" } }).run()).toThrow(
      expect.objectContaining({ code: "channel.protocol" }),
    );
  });

  it("C3 fails at each bit that is altered on the way, and the relay learns of no wish then", () => {
    const lengths: number[] = [];
    new Join({
      tamper: (bytes, index) => {
        lengths[index] = bytes.length;
        return [bytes];
      },
    }).run();
    expect(lengths).toHaveLength(4);
    for (const [index, length] of lengths.entries()) {
      for (let bit = 0; bit < length * 8; bit += 7) {
        const join = new Join({
          tamper: (bytes, at) => {
            if (at === index) bytes[bit >> 3]! ^= 1 << (bit & 7);
            return [bytes];
          },
        });
        let failed = false;
        try {
          join.run();
          failed = join.steps.at(-1)?.joined === undefined;
        } catch (thrown) {
          failed = thrown instanceof Fault;
        }
        expect({ index, bit, failed }).toEqual({ index, bit, failed: true });
        if (index < 3) expect(join.requests).toEqual([]);
      }
    }
  });

  it.each([
    ["the joiner, with its question", 2],
    ["the relay, with its answer", 3],
  ])("ends where %s has more to say", (_, index) => {
    for (const more of [[0], [0, 1, 5], [255, 255, 1]]) {
      const join = new Join({
        tamper: (bytes, at) => [at === index ? Uint8Array.of(...bytes, ...more) : bytes],
      });
      expect(() => join.run()).toThrow(expect.objectContaining({ code: "channel.protocol" }));
    }
  });

  it("ends where the joiner goes on before it was answered", () => {
    const join = new Join({
      tamper: (bytes, at) => (at === 2 ? [bytes, Uint8Array.of(0)] : [bytes]),
      reply: { kind: "joined" },
    });
    expect(() => join.run()).toThrow(expect.objectContaining({ code: "channel.protocol" }));
  });
});
