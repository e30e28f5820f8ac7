/** What in a telegraf.conf would lose points, or keep a secret on the device that nobody needs any more. */
import { isLoopback, type ListenAddress, parseTcpListen } from "../../config/address.ts";
import { parseDurationMs } from "../../config/quantity.ts";
import { record, records, type Told, text, texts } from "../admin-answer.ts";
import type { Finding, Severity } from "./finding.ts";

/** Where the inlet is, as far as it is known. */
export interface KnownInlet {
  readonly listen: ListenAddress;
  readonly timeoutMs: number | undefined;
}

/** Telegraf's own defaults. */
const DEFAULTS = {
  urls: ["http://localhost:8086"],
  timeout: "5s",
  bufferLimit: 10_000,
  batchSize: 1_000,
};
/** The inlet's own default. */
const INLET_TIMEOUT_MS = 4_500;
/** A buffer of fewer flushes than this is full after minutes. */
const FEW_BATCHES = 20;

/** @param root the parsed file. @param inlets none where it is not known where they listen. */
export function telegrafFindings(root: Told, inlets: readonly KnownInlet[]): Finding[] {
  const agent = record(root.agent);
  const outputs = record(root.outputs);
  const v2 = tablesOf(outputs.influxdb_v2);
  const v1 = tablesOf(outputs.influxdb);
  if (v2.length + v1.length === 0) {
    const message = "there is no [[outputs.influxdb_v2]]: nothing goes to the inlet";
    return [finding("warn", "output", message, "add one, with the inlet's address in urls and no token")];
  }
  const findings = [
    ...v2.flatMap((output) => outputFindings({ output, agent, inlets, plugin: "influxdb_v2" })),
    ...v1.flatMap((output) => outputFindings({ output, agent, inlets, plugin: "influxdb" })),
  ];
  if (findings.length > 0) return findings;
  return [finding("ok", "output", "nothing in it would lose points")];
}

interface Output {
  readonly output: Told;
  readonly agent: Told;
  readonly inlets: readonly KnownInlet[];
  readonly plugin: "influxdb_v2" | "influxdb";
}

function outputFindings(given: Output): Finding[] {
  return [
    ...urlFindings(given),
    ...secretFindings(given),
    ...timeFindings(given),
    ...bufferFindings(given),
    ...v1Findings(given),
  ];
}

function urlFindings({ output, inlets, plugin }: Output): Finding[] {
  const single = text(output.url);
  const urls = Array.isArray(output.urls) ? texts(output.urls) : single ? [single] : DEFAULTS.urls;
  const findings: Finding[] = [];
  if (urls.length !== 1) {
    findings.push(
      finding(
        "error",
        "urls",
        `[[outputs.${plugin}]] has ${urls.length} urls: Telegraf writes each batch to one of them, in random order, and drops it where that one refuses it for good`,
        "leave the inlet's address alone in urls",
      ),
    );
  }
  for (const url of urls) {
    const why = strangerThan(url, inlets);
    if (why === undefined) continue;
    const known = inlets.map(({ listen }) => addressOf(listen)).join(" or ");
    findings.push(
      finding(
        "error",
        "urls",
        `[[outputs.${plugin}]] writes to ${shown(url)}, ${why}`,
        `urls = ["${known || "http://127.0.0.1:8086"}"]`,
      ),
    );
  }
  if (text(output.http_proxy)) {
    const message = `[[outputs.${plugin}]] has an http_proxy: its writes do not reach the inlet on this device`;
    findings.push(finding("error", "proxy", message, "take http_proxy out"));
  }
  return findings;
}

/** Why this url is not the inlet's; undefined where it is, or may be. */
function strangerThan(url: string, inlets: readonly KnownInlet[]): string | undefined {
  if (url.startsWith("unix://")) {
    const path = url.slice("unix://".length);
    const isOurs = inlets.some(({ listen }) => listen.kind === "unix" && listen.path === path);
    return inlets.length === 0 || isOurs ? undefined : "which is not the inlet's socket";
  }
  const parts = /^(https?):\/\/([^/?#]*)/i.exec(url);
  if (!parts) return "which is no HTTP address";
  if (parts[1]!.toLowerCase() === "https") return "and the inlet speaks plain HTTP, on this device alone";
  const hostPort = /:\d+$/.test(parts[2]!) ? parts[2]! : `${parts[2]}:80`;
  const address = parseTcpListen(hostPort);
  if (!address) return "which is no address";
  const isOurs = ({ listen }: KnownInlet) =>
    listen.kind === "tcp" &&
    listen.port === address.port &&
    (listen.host === address.host || (isLoopback(listen) && isLoopback(address)) || !isLoopback(listen));
  if (inlets.length > 0) return inlets.some(isOurs) ? undefined : "which is not the inlet";
  return isLoopback(address) ? undefined : "which is not on this device, so hardly the inlet";
}

function secretFindings({ output, plugin }: Output): Finding[] {
  const headers = Object.keys(record(output.http_headers)).map((name) => name.toLowerCase());
  const named = [
    ...["token", "password", "username"].filter((name) => text(output[name])),
    ...(headers.includes("authorization") ? ["http_headers.Authorization"] : []),
  ];
  if (named.length === 0) return [];
  return [
    finding(
      "warn",
      "token",
      `[[outputs.${plugin}]] has ${named.join(" and ")}: the inlet takes that away, and it can be lost with the device`,
      "take it out, and revoke it in InfluxDB",
    ),
  ];
}

function timeFindings({ output, agent, inlets, plugin }: Output): Finding[] {
  const findings: Finding[] = [];
  const timeoutMs = durationMs(output.timeout) ?? durationMs(DEFAULTS.timeout)!;
  const known = inlets.flatMap((inlet) => inlet.timeoutMs ?? []);
  const inletMs = known.length > 0 ? Math.max(...known) : INLET_TIMEOUT_MS;
  if (timeoutMs <= inletMs) {
    findings.push(
      finding(
        "error",
        "timeout",
        `[[outputs.${plugin}]] gives up after ${timeoutMs} ms, and the inlet answers within ${inletMs} ms: a slow write is sent again and again, and no Retry-After is seen`,
        "let timeout be more than the inlet's, as with both defaults: 5s and 4500ms",
      ),
    );
  }
  const jitter = output.flush_jitter ?? agent.flush_jitter;
  if ((durationMs(jitter) ?? 0) === 0) {
    findings.push(
      finding(
        "warn",
        "jitter",
        "flush_jitter is 0: all devices write in the same second, and again after each outage",
        'flush_jitter = "5s" under [agent]',
      ),
    );
  }
  return findings;
}

function bufferFindings({ output, agent }: Output): Finding[] {
  const findings: Finding[] = [];
  const limit = whole(output.metric_buffer_limit) ?? whole(agent.metric_buffer_limit) ?? DEFAULTS.bufferLimit;
  const batch = whole(output.metric_batch_size) ?? whole(agent.metric_batch_size) ?? DEFAULTS.batchSize;
  const isOnDisk = agent.buffer_strategy === "disk" || agent.buffer_strategy === "disk_write_through";
  if (limit < FEW_BATCHES * batch && !isOnDisk) {
    findings.push(
      finding(
        "warn",
        "buffer",
        `metric_buffer_limit is ${limit}, ${Math.floor(limit / batch)} batches of ${batch}: what does not fit while the tunnel is away is lost, the oldest first`,
        "size it for the longest outage that you want to come through",
      ),
    );
  }
  return findings;
}

/** The plugin for InfluxDB 1 asks for its database before it writes. */
function v1Findings({ output, plugin }: Output): Finding[] {
  if (plugin === "influxdb_v2" || output.skip_database_creation === true) return [];
  const message =
    "[[outputs.influxdb]] tries to create its database at the start, which a lease may not, and InfluxDB 2 has none";
  return [
    finding("warn", "v1", message, "use [[outputs.influxdb_v2]], or set skip_database_creation = true"),
  ];
}

function finding(severity: Severity, check: string, message: string, remedy?: string): Finding {
  return { severity, check: `telegraf.${check}`, message, ...(remedy !== undefined && { remedy }) };
}

/** Telegraf takes a bare number for seconds. */
function durationMs(value: unknown): number | undefined {
  if (typeof value === "number") return value * 1_000;
  if (typeof value !== "string") return undefined;
  return /^\d+$/.test(value) ? Number(value) * 1_000 : parseDurationMs(value);
}

function whole(value: unknown): number | undefined {
  const read = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  return typeof read === "number" && Number.isInteger(read) ? read : undefined;
}

function tablesOf(value: unknown): readonly Told[] {
  return Array.isArray(value) ? records(value) : value === undefined ? [] : [record(value)];
}

function addressOf(listen: ListenAddress): string {
  return listen.kind === "unix" ? listen.text : `http://${listen.text}`;
}

/** Without a user and password that may be in it. */
function shown(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//").slice(0, 200);
}
