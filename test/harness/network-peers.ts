/**
 * What stands between nodes in the field (scripts/network-peers installs it): load balancers that end TLS, with the
 * very configurations of docs/wss.md, and an HTTP proxy.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeHaving } from "./describe-having.ts";
import { eventually } from "./eventually.ts";
import { Spawned } from "./spawned.ts";
import { freePort, tempDir } from "./temporary.ts";
import type { Certificate } from "./tls-front.ts";

export type NetworkPeer = "nginx" | "haproxy" | "tinyproxy";

/** A `describe` that needs one. Without it, it is skipped and says so in its name; in CI that is an error. */
export function describePeer(peer: NetworkPeer, name: string, body: () => void): void {
  describeHaving(installed().has(peer) ? [] : [peer], name, body);
}

let found: ReadonlyMap<string, string> | undefined;

function installed(): ReadonlyMap<string, string> {
  const script = fileURLToPath(new URL("../../scripts/network-peers", import.meta.url));
  found ??= new Map(
    execFileSync(script, ["--print"], { encoding: "utf8" })
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split("=", 2) as [string, string]),
  );
  return found;
}

export interface LoadBalancer {
  readonly port: number;
  process: Spawned;
  /** Again on the same port, with the same configuration. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface LoadBalancerOptions {
  readonly port: number;
  readonly certificate: Certificate;
  readonly targetPort: number;
}

/**
 * As docs/wss.md has it, but for names, ports and files. The node behind it has to listen by then: HAProxy takes one
 * that fails its first check for down, and answers 503 until two checks, two seconds apart, have gone well.
 */
export async function startLoadBalancer(
  peer: "nginx" | "haproxy",
  { port, certificate, targetPort }: LoadBalancerOptions,
): Promise<LoadBalancer> {
  if (!(await accepts(targetPort))) throw new Error(`nothing listens behind ${peer}, at port ${targetPort}`);
  const folder = await tempDir(peer);
  const bundle = join(folder, "bundle.pem");
  writeFileSync(bundle, certificate.cert + certificate.key);
  const text = documented(peer)
    .replaceAll("/etc/ssl/culvert.example.com.pem", bundle)
    .replaceAll("/etc/ssl/culvert.example.com.key", certificate.keyFile)
    .replaceAll("0.0.0.0:443", `127.0.0.1:${port}`)
    .replaceAll("listen 443", `listen 127.0.0.1:${port}`)
    .replaceAll("127.0.0.1:4480", `127.0.0.1:${targetPort}`);
  const config = join(folder, `${peer}.conf`);
  writeFileSync(config, peer === "nginx" ? nginxAround(folder, text) : text);
  const args = peer === "nginx" ? ["-p", folder, "-c", config, "-e", "stderr"] : ["-db", "-f", config];
  const start = async (): Promise<Spawned> => {
    const process = new Spawned({ command: installed().get(peer)!, args });
    await eventually(`${peer}'s start`, async () => process.exit !== undefined || (await accepts(port)));
    if (process.exit) throw new Error(`${peer} did not start:\n${process.output}`);
    return process;
  };
  const balancer: LoadBalancer = {
    port,
    process: await start(),
    async restart() {
      await balancer.process.kill();
      balancer.process = await start();
    },
    async stop() {
      await balancer.process.stop();
    },
  };
  return balancer;
}

/** The only block of that language in docs/wss.md. */
function documented(language: string): string {
  const page = readFileSync(fileURLToPath(new URL("../../docs/wss.md", import.meta.url)), "utf8");
  const block = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1];
  if (block === undefined) throw new Error(`docs/wss.md has no configuration for ${language}`);
  return block;
}

function nginxAround(folder: string, server: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `  ${name}_temp_path ${folder}/${name};`,
  );
  return [
    // One process: it ends with the one that was started.
    ...["daemon off;", "master_process off;", `pid ${folder}/nginx.pid;`, "error_log stderr warn;"],
    ...["events {}", "http {", "  access_log off;", ...temporary, server, "}", ""],
  ].join("\n");
}

export interface HttpProxy {
  readonly port: number;
  readonly process: Spawned;
  stop(): Promise<void>;
}

export const proxyUser = { name: "fleet", password: "hunter2-of-the-proxy" };

/** tinyproxy, which knows one user and lets CONNECT to that port through. */
export async function startHttpProxy(allowedPort: number): Promise<HttpProxy> {
  const folder = await tempDir("tinyproxy");
  const port = await freePort();
  const config = join(folder, "tinyproxy.conf");
  const lines = [
    ...[`Port ${port}`, "Listen 127.0.0.1", "Timeout 600", "MaxClients 50", "Allow 127.0.0.1"],
    ...[
      `BasicAuth ${proxyUser.name} ${proxyUser.password}`,
      `ConnectPort ${allowedPort}`,
      "LogLevel Connect",
    ],
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const process = new Spawned({ command: installed().get("tinyproxy")!, args: ["-d", "-c", config] });
  await eventually("tinyproxy's start", async () => process.exit !== undefined || (await accepts(port)));
  if (process.exit) throw new Error(`tinyproxy did not start:\n${process.output}`);
  return { port, process, stop: async () => void (await process.stop()) };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
