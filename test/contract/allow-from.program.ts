/**
 * What listens with a list of addresses, on whatever runtime runs this: the contract test builds it once and
 * runs it under Bun, Node and Deno. Prints the ports of HTTP and of channels, then a line for each refusal.
 */
import { type Log, silentLog } from "../../src/base/log.ts";
import { allowList } from "../../src/cli/allow-list.ts";
import { type Network, parseNetwork } from "../../src/config/network.ts";
import { AddressGuard } from "../../src/proxy/address-guard.ts";
import { defaultInletLimits } from "../../src/proxy/inlet-limits.ts";
import { startListener } from "../../src/proxy/listener-runtime.ts";
import { runtimeWires } from "../../src/transport/wire-runtime.ts";

const networks = ["127.0.0.1", "2001:db8::/32"].map((text) => parseNetwork(text) as Network);
const allows = (await allowList(networks))!;
const log: Log = { ...silentLog, warn: (event, fields) => console.log(event, JSON.stringify(fields)) };

const listener = await startListener({
  at: { host: "::", port: 0 },
  app: { fetch: () => new Response("served"), inFlight: () => 0, close() {} },
  limits: defaultInletLimits,
  addresses: new AddressGuard({ allows, log }),
  log,
});
const channels = await (await runtimeWires()).listen({ host: "::", port: 0 }, (wire) => {
  if (allows(wire.remoteAddress ?? "")) wire.write(new TextEncoder().encode("welcome"));
  else wire.destroy();
  return { onData() {}, onWritable() {}, onClose() {} };
});
console.log(JSON.stringify({ http: Number(new URL(listener.address).port), channel: channels.port }));
