import type { Command, Invocation } from "../command.ts";
import { Narrator, NotAsTold } from "../demo/narrator.ts";
import { Stage } from "../demo/stage.ts";
import { STEPS, Story } from "../demo/story.ts";
import { version } from "../version.ts";

const LEISURELY = { leaseExpiresIn: "6s", paceMs: 1_600, writeEveryMs: 200 };
const FAST = { leaseExpiresIn: "2s", paceMs: 0, writeEveryMs: 50 };

export const demo: Command = {
  name: "demo",
  summary: "show it all in one process: InfluxDB (a stand-in), outlet, inlet and a client",
  options: {
    fast: { type: "boolean", doc: "A few seconds, with no time to read." },
    keep: { type: "boolean", doc: "Leave it running at the end, to write to it yourself, until Ctrl-C." },
  },
  async run(invocation) {
    const startedMs = performance.now();
    const stop = new Interruption();
    const { options, roles, json } = invocation;
    const tempo = options.fast === true ? FAST : LEISURELY;
    const narrator = new Narrator(narration(invocation));
    narrator.title(`culvert ${version}: metrics from a device that holds no InfluxDB token`);
    const stage = await Stage.open(roles, tempo.leaseExpiresIn);
    stop.lastly = () => stage.removeFolder();
    const story = new Story({ stage, narrator, ...tempo, signal: stop.signal });
    let trouble: string | undefined;
    let summary: Summary | undefined;
    try {
      await story.tell();
      if (options.keep === true) await kept(story, invocation, stop);
      const totals = stage.leaseTotals();
      await story.end();
      summary = summed(story, totals.created, startedMs);
    } catch (thrown) {
      narrator.live("");
      trouble = stop.signal.aborted ? "interrupted" : messageOf(thrown);
      if (!stop.signal.aborted && !(thrown instanceof NotAsTold)) narrator.line(`     ${messageOf(thrown)}`);
    } finally {
      story.client?.close();
      await stage.close();
      stop.dispose();
    }
    if (json) {
      const document = {
        ok: trouble === undefined,
        version,
        trouble,
        nodes: stage.identifiers,
        steps: narrator.told,
        summary,
      };
      invocation.terminal.out(JSON.stringify(document, null, 2));
    } else if (summary) conclude(narrator, summary);
    if (trouble === undefined) return 0;
    invocation.terminal.err(`\ndemo: ${trouble}; everything was ended and removed`);
    if (!stop.signal.aborted) for (const line of stage.logLines) invocation.terminal.err(`  ${line}`);
    return 1;
  },
};

interface Summary {
  readonly seconds: number;
  readonly points: number;
  readonly writes: number;
  readonly failedWrites: number;
  readonly leases: number;
  readonly writeMs: { readonly p50: number; readonly p99: number };
}

function summed({ client }: Story, leases: number, startedMs: number): Summary {
  const statuses = client?.statuses ?? [];
  const sorted = (client?.tookMs ?? []).toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round((sorted[Math.floor((sorted.length - 1) * share)] ?? 0) * 100) / 100;
  return {
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
    points: client?.points ?? 0,
    writes: statuses.length,
    failedWrites: statuses.filter((status) => status !== 204).length,
    leases,
    writeMs: { p50: at(0.5), p99: at(0.99) },
  };
}

function conclude(narrator: Narrator, summary: Summary): void {
  const { points, writes, failedWrites, leases, seconds } = summary;
  const { p50, p99 } = summary.writeMs;
  narrator.line();
  narrator.title("In short");
  narrator.row("points", `${points} written in ${writes} writes, ${failedWrites} of them failed`);
  narrator.row("answered in", `${p50} ms (median), ${p99} ms (99th percentile), to InfluxDB and back`);
  narrator.row("leases", `${leases} made, ${leases} revoked`);
  narrator.row("took", `${seconds} s`);
  narrator.line();
  narrator.title("Next");
  // As it was started just now, so that the lines can be pasted.
  const culvert = process.argv0.includes("culvert") ? process.argv0 : "culvert";
  narrator.row("look on", `${culvert} demo --keep`);
  narrator.row("identify", `${culvert} identity show --state-dir DIR`);
  narrator.row("configure", `${culvert} config sample --role inlet`);
  narrator.row("", `${culvert} config sample --role outlet`);
  narrator.row("run", `${culvert} run --config FILE`);
}

/** Shows where to write to, and waits to be told to end. */
async function kept(story: Story, { terminal, json }: Invocation, stop: Interruption): Promise<void> {
  const say = json ? terminal.err : terminal.out;
  for (const line of [
    "",
    `It goes on at ${story.url} until Ctrl-C. Try:`,
    "",
    `  curl -i '${story.url}/api/v2/write?org=edge&bucket=metrics' -d 'room,sensor=mine celsius=20.5'`,
    `  curl '${story.url}/api/v2/query?org=edge' -H 'content-type: application/vnd.flux' \\`,
    `    -d 'from(bucket: "metrics") |> range(start: -1h) |> last()'`,
    "",
    "or Telegraf, with no token:",
    "",
    "  [[outputs.influxdb_v2]]",
    `    urls = ["${story.url}"]`,
    '    organization = "edge"',
    '    bucket = "metrics"',
  ]) {
    say(line);
  }
  await stop.awaited();
  stop.forgive();
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ctrl-C, SIGTERM, or nobody left to read: asks for an orderly end. A second one ends at once. */
class Interruption {
  /** Done before an end at once. */
  lastly: () => void = () => {};
  #controller = new AbortController();
  #count = 0;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#interrupt);
    process.stdout.on("error", () => this.#controller.abort());
  }

  dispose(): void {
    for (const signal of SIGNALS) process.off(signal, this.#interrupt);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async awaited(): Promise<void> {
    const { signal } = this;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  }

  /** It was waited for: what comes next is not interrupted by it. */
  forgive(): void {
    this.#controller = new AbortController();
  }

  readonly #interrupt = (): void => {
    this.#count++;
    if (this.#count > 1) {
      this.lastly();
      process.exit(1);
    }
    this.#controller.abort();
  };
}

function narration({ json, terminal, env }: Invocation): ConstructorParameters<typeof Narrator>[0] {
  if (json) return { steps: STEPS, color: false, write: () => {} };
  const isWatched = process.stdout.isTTY === true;
  const live = (line: string): void => {
    process.stdout.write(`\r\u001b[K${line}`);
  };
  return {
    steps: STEPS,
    color: isWatched && !env.NO_COLOR,
    write: terminal.out,
    ...(isWatched ? { live } : {}),
  };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
