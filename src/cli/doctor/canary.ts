/** One point on its way: written, found again, and how long each hop has taken. It knows no socket. */
import type { Finding } from "./finding.ts";

export const CANARY_MEASUREMENT = "culvert_canary";

export interface CanaryAnswer {
  readonly status: number;
  readonly body: string;
}

export interface CanaryRequest {
  readonly method: "GET" | "POST";
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request, and its whole answer. @throws Fault when there is none. */
export type CanarySend = (request: CanaryRequest) => Promise<CanaryAnswer>;

export interface CanaryTarget {
  readonly organization: string;
  readonly bucket: string;
  readonly measurement: string;
}

/** A request whose answer comes from a known place on the way. */
export interface Hop {
  /** `hop.inlet` */
  readonly check: string;
  /** Completes "… answered in 3 ms". */
  readonly what: string;
  readonly request: CanaryRequest;
  /** Whether the answer came from there, and not from further away. */
  readonly fits: (answer: CanaryAnswer) => boolean;
}

/** @param hops on the way, the nearest first. */
export async function releaseCanary(
  send: CanarySend,
  target: CanaryTarget,
  hops: readonly Hop[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    for (const { check, what, request, fits } of hops) {
      const { answer, ms } = await timed(() => send(request));
      if (!fits(answer)) continue;
      findings.push({ severity: "ok", check, message: `${what} answered in ${msText(ms)}` });
    }
    findings.push(...(await writeAndFind(send, target)));
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    findings.push({ ...FAILED, message: `the canary did not get through: ${why}` });
  }
  return findings;
}

const FAILED = {
  severity: "error",
  check: "canary.write",
  remedy: "the findings above, and docs/troubleshooting.md",
} as const;

async function writeAndFind(send: CanarySend, target: CanaryTarget): Promise<Finding[]> {
  const { organization, bucket, measurement } = target;
  const value = Math.floor(Math.random() * 2 ** 47);
  const atMs = Date.now();
  const query = new URLSearchParams({ org: organization, bucket, precision: "ms" });
  const written = await timed(() =>
    send({
      method: "POST",
      path: `/api/v2/write?${query}`,
      headers: { "content-type": "text/plain; charset=utf-8" },
      body: `${lineName(measurement)} value=${value}i ${atMs}`,
    }),
  );
  if (written.answer.status !== 204) {
    return [{ ...FAILED, message: `the canary was not written to "${bucket}": ${reasonIn(written.answer)}` }];
  }
  const stored: Finding = {
    severity: "ok",
    check: "canary.write",
    message: `a point of ${measurement} was stored in "${bucket}" after ${msText(written.ms)}`,
  };
  const found = await timed(() =>
    send({
      method: "POST",
      path: `/api/v2/query?${new URLSearchParams({ org: organization })}`,
      headers: { "content-type": "application/vnd.flux", accept: "application/csv" },
      body: [
        `from(bucket: ${fluxText(bucket)})`,
        `range(start: ${new Date(atMs - 1_000).toISOString()}, stop: ${new Date(atMs + 1_000).toISOString()})`,
        `filter(fn: (r) => r._measurement == ${fluxText(measurement)} and r._value == ${value})`,
      ].join(" |> "),
    }),
  );
  return [stored, lookUp(found.answer, { value, ms: found.ms })];
}

function lookUp(answer: CanaryAnswer, { value, ms }: { value: number; ms: number }): Finding {
  const check = "canary.read";
  if (answer.status === 200 && answer.body.includes(`,${value},`)) {
    return { severity: "ok", check, message: `it was found again in ${msText(ms)}` };
  }
  if (answer.status === 401 || answer.status === 403) {
    const who = answer.body.includes('"policy.denied"')
      ? "the outlet's policy does not let this member"
      : "the lease may not";
    const message = `it was not looked for, because ${who} read: InfluxDB's 204 says that it is stored`;
    return { severity: "info", check, message };
  }
  if (answer.status === 200) {
    return {
      severity: "error",
      check,
      message: "it was acknowledged, and is not to be found",
      remedy: "look at the bucket's retention, and at this machine's clock",
    };
  }
  return {
    severity: "error",
    check,
    message: `it could not be looked for: ${reasonIn(answer)}`,
    remedy: "docs/troubleshooting.md",
  };
}

async function timed<T>(act: () => Promise<T>): Promise<{ answer: T; ms: number }> {
  const startMs = performance.now();
  const answer = await act();
  return { answer, ms: performance.now() - startMs };
}

function msText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** The answer's own words, where it has some. */
export function reasonIn({ status, body }: CanaryAnswer): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    if (typeof message === "string") return `${status}, ${message.slice(0, 300)}`;
  } catch {
    // Not JSON: the status has to do.
  }
  return `the answer was ${status}`;
}

/** Line protocol's escapes for a measurement. */
function lineName(name: string): string {
  return name.replace(/[, \\]/g, "\\$&");
}

/** A text of Flux: as JSON's, but that `${` would begin an expression. */
function fluxText(text: string): string {
  return JSON.stringify(text).replaceAll("${", "\\${");
}
