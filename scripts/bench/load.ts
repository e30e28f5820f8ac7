/**
 * load: one run of the generator (wrk, one thread) against one port, and what it counted. It knows nothing
 * of what answers there. Each connection sends its next write when the last one is answered.
 */
import { type Stage, type Started, tail } from "./stage.ts";

export const WRITE_PATH = "/api/v2/write?org=o&bucket=b&precision=ns";
const BODY_BYTES = 20_000;

export interface Answered {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 204, and connections that failed or timed out. */
  readonly errors: number;
}

/** Line protocol of just under 20 kB, as a Telegraf flush looks. */
export function writeBody(): string {
  let body = "";
  for (let line = 0; ; line++) {
    const next =
      `cpu,cpu=cpu${line % 8},host=edge-${line % 40} usage_user=${(line * 0.37) % 100},` +
      `usage_idle=${(line * 0.71) % 100} ${1_700_000_000_000_000_000n + BigInt(line) * 1_000_000n}\n`;
    if (body.length + next.length > BODY_BYTES) return body;
    body += next;
  }
}

export class Generator {
  readonly #stage: Stage;
  readonly #script: string;

  constructor(stage: Stage) {
    this.#stage = stage;
    const body = stage.write("write-body.lp", writeBody());
    this.#script = stage.write("write.lua", script(body));
  }

  /** @param underLoad called once, when nine tenths of the time are over. */
  async run(options: LoadOptions): Promise<Answered> {
    const started = this.#stage.start({
      name: `wrk-${options.port}-${options.connections}`,
      command: [
        "wrk",
        "--threads=1",
        `--connections=${options.connections}`,
        `--duration=${options.seconds}s`,
        "--timeout=10s",
        `--script=${this.#script}`,
        `http://127.0.0.1:${options.port}${WRITE_PATH}`,
      ],
    });
    const timer = setTimeout(() => options.underLoad?.(), options.seconds * 900);
    await this.#stage.ended(started);
    clearTimeout(timer);
    return parse(started);
  }
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly underLoad?: () => void;
}

/** wrk builds the request once from these; `response` is there because wrk itself counts only 400 and up. */
function script(bodyPath: string): string {
  return `
wrk.method = "POST"
wrk.headers["Content-Type"] = "text/plain; charset=utf-8"
wrk.body = io.open(${JSON.stringify(bodyPath)}, "rb"):read("*a")
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status) if status ~= 204 then wrong = wrong + 1 end end
function done(summary, latency)
  local e, wrong = summary.errors, 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  io.write(string.format("\\nANSWERED %d %d %.1f %.1f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), wrong + e.connect + e.read + e.write + e.timeout))
end
`;
}

function parse(started: Started): Answered {
  const output = tail(started);
  const figures = output.match(/ANSWERED (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)\s*$/);
  if (figures === null) throw new Error(`the generator printed no result${output}`);
  const [requests, durationUs, p50Us, p99Us, errors] = figures.slice(1).map(Number);
  return {
    requests: requests!,
    seconds: durationUs! / 1e6,
    p50Ms: p50Us! / 1e3,
    p99Ms: p99Us! / 1e3,
    errors: errors!,
  };
}
