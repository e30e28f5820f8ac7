/** How this node reaches servers of wss, by its config and its environment: whom it trusts, and which proxy it takes. */
import { Fault } from "../base/fault.ts";
import type { ChannelConfig } from "../config/config.ts";
import type { Environment } from "../config/substitution.ts";
import type { NodeAddress } from "../identity/node-address.ts";
import type { SecretShelf } from "../secrets/secret-shelf.ts";
import type { WssWay } from "../transport/connector.ts";
import type { HttpsProxy } from "../transport/https-proxy.ts";

export interface WssWayOptions {
  readonly channel: Pick<ChannelConfig, "tlsCa" | "wssHost" | "httpsProxy">;
  readonly secrets: Pick<SecretShelf, "open">;
  readonly env: Environment;
}

/** Of the key, for no proxy whatever the environment says. */
const OFF = "off";

/** @throws Fault `config.invalid`, `secret.unavailable` for what cannot be used. */
export async function openWssWay({ channel, secrets, env }: WssWayOptions): Promise<WssWay> {
  const { tlsCa, wssHost, httpsProxy } = channel;
  const source = httpsProxy && (await secrets.open(httpsProxy));
  const ca = async () => (tlsCa === undefined ? undefined : await authorities(tlsCa));
  // Found out now rather than at the first connection.
  await ca();
  return async (address) => {
    const own = source && (await source.current()).reveal();
    return { ca: await ca(), host: wssHost, proxy: await proxyFor(address, own, env) };
  };
}

/** Of a command that is given no config. */
export function environmentWay(env: Environment): WssWay {
  return async (address) => ({
    ca: undefined,
    host: undefined,
    proxy: await proxyFor(address, undefined, env),
  });
}

/** @param own what the config says, where it says anything. */
async function proxyFor(
  address: NodeAddress,
  own: string | undefined,
  env: Environment,
): Promise<HttpsProxy | undefined> {
  // It loads node:net, which takes a tenth of an inlet's start.
  const { isExempt, parseHttpsProxy, proxyOfEnvironment } = await import("../transport/https-proxy.ts");
  const text = own ?? proxyOfEnvironment(env);
  if (text === undefined || text === OFF || isExempt(address, env)) return undefined;
  const proxy = parseHttpsProxy(text);
  if (proxy) return proxy;
  const where = own === undefined ? "the environment's https_proxy" : '[channel] key "https_proxy"';
  throw new Fault(
    "config.invalid",
    `${where} must be http://host:port, with user:password@ in front of the host where the proxy wants that, and what is special in them as %XX`,
  );
}

/** What of it is wrong, for `config check`: a line for each. */
export async function wssFindings(options: WssWayOptions): Promise<string[]> {
  try {
    const way = await openWssWay(options);
    // Of a name that no list of exemptions has.
    await way(PROBE);
    return [];
  } catch (thrown) {
    return [Fault.from(thrown).message];
  }
}

const PROBE = {
  transport: "wss",
  host: "culvert.invalid",
  port: 443,
  path: "/",
  name: undefined,
  relay: undefined,
  text: "wss://culvert.invalid:443",
} as const;

async function authorities(path: string): Promise<string> {
  const { readCertificates } = await import("./certificate-file.ts");
  return (await readCertificates(path, "tls_ca")).pem;
}
