import fc from "fast-check";
import { expect, it } from "vitest";
import { defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import type { SessionEvents } from "../../src/channel/session-options.ts";
import { type Tally, TrafficMeter } from "../../src/channel/traffic-meter.ts";
import { nodeProvider as provider } from "../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../src/identity/identity.ts";
import { Link } from "../../src/transport/link.ts";
import type { Wire } from "../../src/transport/wire.ts";
import { MemoryWires } from "../harness/memory-wires.ts";

const ADDRESS = { host: "127.0.0.1", port: 4433 };
const initiator = new LocalParty({ provider, identity: generateIdentity(provider), software: "test" });
const responder = new LocalParty({ provider, identity: generateIdentity(provider), software: "test" });

type Step =
  | {
      readonly kind: "request";
      readonly upBytes: number;
      readonly downBytes: number;
      readonly upkeep: boolean;
    }
  | { readonly kind: "reset" | "probe" | "probed" | "turn" | "cut" | "close" };

const step = fc.oneof(
  fc.record({
    kind: fc.constant("request" as const),
    upBytes: fc.integer({ min: 0, max: 100_000 }),
    downBytes: fc.integer({ min: 0, max: 100_000 }),
    upkeep: fc.boolean(),
  }),
  fc.constantFrom("reset", "probe", "probed", "turn", "turn", "turn").map((kind): Step => ({ kind })),
);
const end = fc.constantFrom("cut", "close").map((kind): Step => ({ kind }));

function sumOf({ idleBytes, overheadBytes, payloadBytes }: Tally): number {
  return idleBytes + overheadBytes + payloadBytes;
}

/** An initiator's link with a meter, and what its responder answers. */
async function connected(answers: () => number) {
  const wires = new MemoryWires();
  const meter = new TrafficMeter(performance.now());
  const onStream: SessionEvents["onStream"] = (stream) => {
    stream.sendHead(new Uint8Array(10), { data: new Uint8Array(answers()), end: true });
    return { onData: (chunk) => stream.consumed(chunk.length), onEnd() {}, onReset: () => stream.end() };
  };
  const make = (wire: Wire, isInitiator: boolean) =>
    new Link(wire, {
      ...{ initiator: isInitiator, party: isInitiator ? initiator : responder, limits: defaultLimits },
      ...{ suite: "AESGCM", route: "", keepaliveMs: 120_000, authorize: () => undefined },
      ...(isInitiator && { meter }),
      events: { onEstablished() {}, onStream, onGoAway() {}, onClosed() {}, onSendable() {} },
    });
  let far!: Link;
  let near!: Link;
  await wires.listen(ADDRESS, (wire) => {
    far = make(wire, false);
    return far;
  });
  wires.dial(
    ADDRESS,
    (wire) => {
      near = make(wire, true);
      return near;
    },
    () => {},
  );
  for (let i = 0; i < 20; i++) await turn();
  if (!near.session.established) throw new Error("no handshake");
  return { wires, meter, near, far };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it("each byte of a link is counted once, whatever goes over it and however it ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), end, async (steps, last) => {
      const answers: number[] = [];
      const { wires, meter, near, far } = await connected(() => answers.shift() ?? 0);
      const open = new Set<{ reset(): void }>();
      let clientBytes = 0;
      for (const each of [...steps, last]) {
        if (each.kind === "request") {
          answers.push(each.downBytes);
          if (!each.upkeep) clientBytes += each.upBytes + each.downBytes;
          const handler = {
            onData: (chunk: Uint8Array) => stream.consumed(chunk.length),
            onEnd() {},
            onReset() {},
          };
          const stream = near.session.openStream(new Uint8Array(20), handler, {
            ...{ data: new Uint8Array(each.upBytes), end: true, upkeep: each.upkeep },
          });
          open.add({ reset: () => stream.reset("cancelled") });
        } else if (each.kind === "reset") for (const { reset } of open) reset();
        else if (each.kind === "probe") near.session.probe(performance.now());
        else if (each.kind === "probed") far.session.probe(performance.now());
        else if (each.kind === "turn") await turn();
        else if (each.kind === "cut") wires.connections[0]!.cut();
        else near.close("normal");
        const { sent, received } = meter.total;
        expect([sumOf(sent), sumOf(received)]).toEqual([near.traffic.sentBytes, near.traffic.receivedBytes]);
        for (const tally of [sent, received])
          for (const part of Object.values(tally)) expect(part).toBeGreaterThanOrEqual(0);
      }
      for (let i = 0; i < 20; i++) await turn();
      const { sent, received } = meter.total;
      expect([sumOf(sent), sumOf(received)]).toEqual([near.traffic.sentBytes, near.traffic.receivedBytes]);
      expect(sent.payloadBytes + received.payloadBytes).toBeLessThanOrEqual(clientBytes);
    }),
    { numRuns: 60 },
  );
});

it("what clients send and get is payload to the byte, and upkeep is none of it", async () => {
  const bodies = (max: number) => ({
    ...{ upBytes: fc.integer({ min: 0, max }), downBytes: fc.integer({ min: 0, max }) },
  });
  const request = fc.oneof(
    fc.record({ ...bodies(300_000), upkeep: fc.constant(false) }),
    // Small as heads are: credit that comes when a stream is gone already is taken for a client's.
    fc.record({ ...bodies(10_000), upkeep: fc.constant(true) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 8 }), async (requests) => {
      const { meter, near } = await connected(() => answers.shift() ?? 0);
      const answers = requests.map(({ downBytes }) => downBytes);
      let ended = 0;
      for (const { upBytes, upkeep } of requests) {
        const stream = near.session.openStream(
          new Uint8Array(20),
          {
            onData: (chunk) => stream.consumed(chunk.length),
            onEnd: () => ended++,
            onReset() {},
          },
          { data: new Uint8Array(upBytes), end: true, upkeep },
        );
      }
      for (let i = 0; i < 5_000 && (ended < requests.length || near.session.streamCount > 0); i++)
        await turn();
      const clients = requests.filter(({ upkeep }) => !upkeep);
      const sum = (key: "upBytes" | "downBytes") => clients.reduce((all, each) => all + each[key], 0);
      const { sent, received } = meter.total;
      expect([sent.payloadBytes, received.payloadBytes]).toEqual([sum("upBytes"), sum("downBytes")]);
      if (clients.length === 0) expect(sent.overheadBytes + received.overheadBytes).toBe(0);
      near.close("normal");
    }),
    { numRuns: 40 },
  );
});
