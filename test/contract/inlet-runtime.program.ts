/**
 * An inlet on whatever runtime runs this, over a tunnel that tells what reached it: the contract test
 * builds it once and runs it under Bun, Node and Deno. Prints its address, then serves until its end.
 */
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { Secret } from "../../src/base/secret.ts";
import { createInletApp } from "../../src/proxy/inlet-app.ts";
import { defaultInletLimits } from "../../src/proxy/inlet-limits.ts";
import { startListener } from "../../src/proxy/listener-runtime.ts";
import { type FakeStream, FakeUplink } from "../unit/proxy/fake-uplink.ts";

const uplink = new FakeUplink();
const cancelled: number[] = [];
const lease = { leaseId: "lease-1", token: new Secret("leased-token"), routes: ["read", "write"] as const };

uplink.onRequest = (stream) => queueMicrotask(() => answer(stream));
uplink.onOpen = (stream) => {
  const reset = stream.reset.bind(stream);
  stream.reset = (reason) => {
    cancelled.push(stream.id);
    reset(reason);
  };
};
uplink.onConsumed = (stream) => {
  if (stream.head.target.includes("endless"))
    queueMicrotask(() => stream.handler.onData(new Uint8Array(65_536)));
};

const app = createInletApp({
  service: "influxdb",
  uplink,
  lease: {
    use: () => lease,
    replace: () => Promise.resolve({ ...lease, leaseId: "lease-2" }),
    replacement: () => undefined,
    refusal: () => undefined,
  },
  openRoutes: [],
  guard: { allowHosts: [], allowOrigins: [], boundAddress: "127.0.0.1" },
  limits: { ...defaultInletLimits, replayBytes: 100_000, maxBodyBytes: 10_000_000 },
  log: silentLog,
  meter: { started: () => {}, answered: () => {}, faulted: () => {}, replayed: () => {} },
  clock: systemClock,
});
const listener = await startListener({
  at: { host: "127.0.0.1", port: 0 },
  app,
  limits: defaultInletLimits,
  log: silentLog,
});
console.log(listener.address);

function answer(stream: FakeStream): void {
  const { target } = stream.head;
  if (target.includes("silent")) return;
  if (target.includes("endless") || target.includes("cut")) {
    stream.replyHead({ kind: "http", status: 200, headers: [["content-type", "text/csv"]] });
    stream.handler.onData(new TextEncoder().encode("first,chunk\n"));
    if (target.includes("cut")) setTimeout(() => stream.lose("channel.closed"), 20);
  } else if (target === "/ping") stream.reply(204, { headers: [["x-influxdb-version", "v2"]] });
  else if (target === "/health") {
    const arrived = uplink.streams.map((one) => ({
      target: one.head.target,
      method: one.head.method,
      bytes: one.bytes,
      ended: one.ended,
    }));
    stream.reply(200, { body: JSON.stringify({ arrived, cancelled, inFlight: app.inFlight() }) });
    uplink.streams.length = 0;
  } else stream.reply(200, { body: JSON.stringify({ head: stream.head, bytes: stream.bytes }) });
}
