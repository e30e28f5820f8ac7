/** What InfluxDB's admin API says when it does not do what it was asked, as a fault. */
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import type { ApiAnswer } from "./influxdb-api.ts";

/** InfluxDB's own words for an error, kept as the cause of the fault that they became. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, body: string) {
    const { data } = ErrorBody.safeParse(jsonOf(body));
    super(data ? data.message.slice(0, 200) : "no reason given");
    this.status = status;
  }
}

export function refusal(answer: ApiAnswer, what: string): Fault {
  const { status } = answer;
  const cause = new Refused(status, answer.body);
  const message = `InfluxDB answered ${status} to ${what}: ${cause.message}`;
  if (status === 401 || status === 403) {
    const hint = status === 401 ? "is it the right one, and active?" : "a right is missing from it";
    return new Fault("upstream.denied", `${message}; check the outlet's own "token": ${hint}`, { cause });
  }
  if (status === 429 || status >= 500) {
    const seconds = Number(answer.headers["retry-after"] ?? "");
    const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1_000 : undefined;
    return new Fault("upstream.unreachable", message, {
      cause,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  return new Fault("upstream.malformed", message, { cause });
}

/** Whether a 403 is for a token that somebody has switched off, which to a write InfluxDB says in its text alone. */
export function isInactive(body: Uint8Array): boolean {
  const { data } = ErrorBody.safeParse(jsonOf(new TextDecoder().decode(body)));
  return data?.message.endsWith(": token is inactive") ?? false;
}

const ErrorBody = z.object({ message: z.string() });

/** Undefined for what is no JSON. */
export function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
