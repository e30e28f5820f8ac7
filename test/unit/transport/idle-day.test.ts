import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { decodeRequestHead, encodeHead, type ReplyHead } from "../../../src/channel/exchange.ts";
import { KeepaliveStretch } from "../../../src/channel/keepalive-stretch.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { LocalParty } from "../../../src/channel/local-party.ts";
import type { SessionBasis, SessionEvents } from "../../../src/channel/session-options.ts";
import { TrafficMeter } from "../../../src/channel/traffic-meter.ts";
import { parseConfig } from "../../../src/config/config.ts";
import { nodeProvider as provider } from "../../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import { issueCredential } from "../../../src/identity/credential.ts";
import { generateIdentity, type Identity } from "../../../src/identity/identity.ts";
import { diallable, type NodeAddress } from "../../../src/identity/node-address.ts";
import { LeaseHolder } from "../../../src/lease/lease-holder.ts";
import { runErrand } from "../../../src/membership/errand.ts";
import { LeaseClient } from "../../../src/proxy/lease-client.ts";
import { Acceptor } from "../../../src/transport/acceptor.ts";
import { directConnector } from "../../../src/transport/connector.ts";
import { Dialer } from "../../../src/transport/dialer.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import { MeteredWires } from "../../harness/metered-wires.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const LIMIT_BYTES = 250_000;
const [ADDRESS] = diallable(["tcp://127.0.0.1:4433"]) as [NodeAddress];
/** As an inlet has them that says nothing else. */
const { channel } = parseConfig(
  [{ file: "culvert.toml", text: '[[inlets.influxdb]]\nlisten = "127.0.0.1:8086"' }],
  {},
);

const authority = generateIdentity(provider);

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
  });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Of an outlet and of a device: a few attributes, as an operator gives them. */
function credentialOf(identity: Identity): string {
  return issueCredential({
    ...{ provider, authority, issuedAtMs: Date.now(), lifetimeMs: DAY_MS },
    subject: identity.identifier,
    attributes: parseAttributes({ "influxdb-inlet": "true", site: "pumping station 17", floor: "2" }),
    serial: "3f8e1c7a5b9d4e20",
  });
}

/** A lease as an outlet with defaults hands it out, and a renewed credential. */
function answerTo(bytes: Uint8Array): ReplyHead {
  const head = decodeRequestHead(bytes);
  if (head.kind === "renew") {
    return {
      ...{ kind: "credential", credential: credentialOf(authority) },
      ...{ expiresInMs: DAY_MS, renewInMs: DAY_MS / 2 },
      authorityAddresses: ["tcp://outlet.example.com:4433"],
      outletAddresses: ["tcp://outlet.example.com:4433"],
    };
  }
  return {
    ...{ kind: "lease", leaseId: "b5f1d2c47a9e4c08", routes: ["write"] },
    ...{ token: "t".repeat(88), resume: "r".repeat(43), expiresInMs: 300_000, renewInMs: 150_000 },
  };
}

const onStream: SessionEvents["onStream"] = (stream, head) => {
  stream.sendHead(encodeHead(answerTo(head)), { end: true });
  return { onData() {}, onEnd() {}, onReset() {} };
};

/** An inlet and its outlet for a day in which no client says a word. */
async function idleDay({ stretches, renews }: { stretches: boolean; renews: boolean }) {
  const wires = new MeteredWires(new MemoryWires());
  const connector = directConnector(wires);
  const ticker = new Ticker();
  const meter = new TrafficMeter(performance.now());
  const basis = (): SessionBasis => {
    const identity = generateIdentity(provider);
    return {
      party: new LocalParty({
        ...{ provider, identity, software: "culvert/0.1.0" },
        statements: () => ({ credential: credentialOf(identity) }),
      }),
      ...{ limits: defaultLimits, suite: "AESGCM", authorize: () => undefined },
      keepaliveMs: channel.keepaliveMs,
      ...(stretches && { stretch: new KeepaliveStretch(channel.keepaliveMaxMs) }),
    };
  };
  const acceptor = new Acceptor({
    ...{ addresses: [ADDRESS], wires, ticker, session: basis(), onStream, log: silentLog },
  });
  await acceptor.start();
  const session = { ...basis(), meter };
  const dialer = new Dialer({
    ...{ addresses: () => [ADDRESS], connector, ticker, session, log: silentLog },
    maxAgeMs: channel.maxAgeMs,
    // As young as a channel can be when it is replaced.
    random: () => 0.999,
    onUp: (peer) => leases.connected(peer),
  });
  const leases = new LeaseClient({
    ...{ service: "influxdb", uplink: dialer, clock: systemClock, log: silentLog },
    holder: new LeaseHolder(() => 0.5),
  });
  dialer.start();
  let errands = 0;
  for (let second = 1; second <= DAY_MS / 1_000; second++) {
    vi.advanceTimersByTime(1_000);
    // A credential lives for a day and is renewed at half its life; the channel is made anew with it.
    if (second % (DAY_MS / 2_000) === 0) {
      const errand = { address: ADDRESS, connector, ticker, session, patienceMs: 20_000 };
      void runErrand({ ...errand, head: () => ({ kind: "renew" }) }).then(() => errands++);
      dialer.redial();
    }
    if (renews) leases.use();
    await settled(wires);
  }
  const status = leases.status();
  leases.stop();
  dialer.stop();
  await settled(wires);
  acceptor.close("normal");
  return { wires, meter, status, connects: dialer.status().connects, errands };
}

/** No time passes; what is under way arrives. */
async function settled(wires: MeteredWires): Promise<void> {
  for (let before = -1, quiet = 0; quiet < 3; quiet = before === wires.pieces ? quiet + 1 : 0) {
    before = wires.pieces;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a day of an inlet that nobody asks anything", () => {
  it("costs under 250 kB on the wire, both ways together, and is counted as it was", {
    timeout: 60_000,
  }, async () => {
    const { wires, meter, status, connects, errands } = await idleDay({ stretches: true, renews: false });
    const bytes = wires.onTheWireBytes();
    expect(bytes).toBeLessThan(LIMIT_BYTES);
    // It was a day as it is: channels replaced, the credential renewed, one lease that lapsed.
    expect(connects).toBeGreaterThanOrEqual(26);
    expect(errands).toBe(2);
    expect(status).toMatchObject({ state: "idle", grants: 1, failures: 0 });

    const { sent, received } = meter.total;
    const carried = (fromDialer: boolean) =>
      wires.connections
        .flat()
        .filter((piece) => piece.fromDialer === fromDialer)
        .reduce((sum, piece) => sum + piece.bytes, 0);
    expect([sent.idleBytes, received.idleBytes]).toEqual([carried(true), carried(false)]);
    expect(sent.payloadBytes + sent.overheadBytes + received.payloadBytes + received.overheadBytes).toBe(0);
    const estimate = sent.idleWireBytes + received.idleWireBytes;
    expect(Math.abs(estimate - bytes) / bytes).toBeLessThan(0.02);
  });

  it("would cost more than that if leases were renewed, and pings as far apart as at first", {
    timeout: 60_000,
  }, async () => {
    const { wires } = await idleDay({ stretches: false, renews: true });
    expect(wires.onTheWireBytes()).toBeGreaterThan(2 * LIMIT_BYTES);
  });
});
