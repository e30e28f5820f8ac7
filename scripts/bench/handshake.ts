/**
 * handshake: what one channel costs an outlet and an inlet, from the first byte to the welcome, as far as
 * computing goes: two real sessions tied together in memory, no socket between them. Every inlet has an
 * identity and a credential of its own, so that nothing that an outlet may remember helps it.
 */
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import { defaultLimits } from "../../src/channel/limits.ts";
import { LocalParty } from "../../src/channel/local-party.ts";
import { Session } from "../../src/channel/session.ts";
import type { SessionOptions } from "../../src/channel/session-options.ts";
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import type { CryptoProvider } from "../../src/crypto/provider.ts";
import { metered, type Primitive, primitives } from "./metered-provider.ts";
import { strangersCpuTimeMs } from "./process-tree.ts";
import { OUTLET_ATTRIBUTES, Realm, type RealmMember } from "./realm.ts";
import { spread } from "./report.ts";

const AIM_PER_SECOND = 1_500;
const HELP = `Usage: scripts/bench/handshake [flags]
  --rounds n     interleaved rounds, of which medians are shown (default 9)
  --node n       handshakes of one run with node:crypto (default 500)
  --noble n      handshakes of one run with noble (default 50)
`;

type Side = "outlet" | "inlet";
/** Nanoseconds. */
type Cost = Record<Side, number>;

/** The runs of one provider, each in microseconds per handshake. */
interface Samples {
  readonly provider: CryptoProvider;
  readonly count: number;
  readonly whole: Record<Side, number[]>;
  readonly parts: Record<Side, Record<Primitive, number[]>>;
}

const flags = readFlags();
const realm = new Realm(nodeProvider);
const outlet = realm.enroll(OUTLET_ATTRIBUTES);
const inlets = Array.from({ length: Math.max(flags.node, flags.noble) }, () => realm.enroll());

const strangersBeforeMs = strangersCpuTimeMs();
const samples = measure();
process.stdout.write(`${introduction()}\n\n${rates()}\n\n${shares()}\n\n${verdict()}\n`);

function measure(): Samples[] {
  const all = [emptySamples(nodeProvider, flags.node), emptySamples(nobleProvider, flags.noble)];
  // The first round warms up: its figures are thrown away.
  for (let round = 0; round <= flags.rounds; round++) {
    for (const { provider, count, whole, parts } of all) {
      const plain = run(count, { outlet: provider, inlet: provider });
      const meters = {
        outlet: metered(provider, realm.authority.publicKey),
        inlet: metered(provider, realm.authority.publicKey),
      };
      run(count, { outlet: meters.outlet.provider, inlet: meters.inlet.provider }, () => {
        for (const meter of Object.values(meters)) meter.reset();
      });
      if (round === 0) continue;
      for (const side of ["outlet", "inlet"] as const) {
        whole[side].push(plain[side] / count / 1e3);
        for (const name of primitives) parts[side][name].push(meters[side].spentNs[name] / count / 1e3);
      }
    }
  }
  return all;
}

function emptySamples(provider: CryptoProvider, count: number): Samples {
  const parts = () => Object.fromEntries(primitives.map((name) => [name, []])) as never;
  return {
    provider,
    count,
    whole: { outlet: [], inlet: [] },
    parts: { outlet: parts(), inlet: parts() },
  };
}

/** So many handshakes, one after the other. What one side spends in its own session's methods is its cost. */
function run(count: number, providers: Record<Side, CryptoProvider>, onStart = () => {}): Cost {
  const judge = realm.judge(providers.outlet, { withRoster: true });
  const outletParty = party(outlet, providers.outlet);
  // Channel keys are made once a day: not in what is measured. An inlet that was away signs a new attestation.
  outletParty.attestationOf(outletParty.channelKey(0), Date.now());
  const inletParties = inlets.slice(0, count).map((member) => party(member, providers.inlet));
  for (const each of inletParties) each.channelKey(0);
  const judges = inletParties.map(() => realm.judge(providers.inlet, { withRoster: false }));
  const cost: Cost = { outlet: 0, inlet: 0 };
  onStart();
  for (const [i, each] of inletParties.entries()) {
    const ends = {
      inlet: costed("inlet", cost, () => session("inlet", each, judges[i]!)),
      outlet: costed("outlet", cost, () => session("outlet", outletParty, judge)),
    };
    while (pass("inlet", ends, cost) || pass("outlet", ends, cost));
    if (!ends.inlet.established || !ends.outlet.established) throw new Error("a handshake failed");
  }
  return cost;
}

/** Moves one piece from this side to the other. @returns whether there was one. */
function pass(from: Side, ends: Record<Side, Session>, cost: Cost): boolean {
  const to = from === "inlet" ? "outlet" : "inlet";
  const bytes = costed(from, cost, () => ends[from].pollSend());
  if (bytes === undefined) return false;
  const received = bytes.slice();
  costed(to, cost, () => ends[to].handleBytes(received, 0));
  return true;
}

function costed<T>(side: Side, cost: Cost, step: () => T): T {
  const sinceNs = Bun.nanoseconds();
  const result = step();
  cost[side] += Bun.nanoseconds() - sinceNs;
  return result;
}

function party({ identity, credential }: RealmMember, provider: CryptoProvider): LocalParty {
  return new LocalParty({
    provider,
    identity,
    software: "culvert/0.0.0-bench",
    statements: () => ({ credential }),
  });
}

function session(side: Side, local: LocalParty, authorize: SessionOptions["authorize"]): Session {
  return new Session({
    initiator: side === "inlet",
    party: local,
    limits: defaultLimits,
    suite: "AESGCM",
    route: "",
    keepaliveMs: 120_000,
    authorize,
    events: {
      onEstablished() {},
      onStream: () => ({ onData() {}, onEnd() {}, onReset() {} }),
      onGoAway() {},
      onClosed(fault) {
        throw fault ?? new Error("a channel was closed");
      },
      onSendable() {},
    },
    nowMs: 0,
    wallMs: Date.now,
  });
}

// ---- what is shown -------------------------------------------------------------------------------

function introduction(): string {
  const elsewhere = `${Math.max(0, strangersCpuTimeMs() - strangersBeforeMs).toFixed(0)} ms of CPU went to other processes`;
  return `Noise XX, X25519, AES-256-GCM, SHA-256; hellos with attestation and credential (${outlet.credential.length} bytes); one thread.
${cpus()[0]?.model ?? "unknown CPU"}, Linux ${release()}; ${flags.rounds} rounds of ${flags.node} (node) and ${flags.noble} (noble) handshakes, interleaved; medians (min to max). ${elsewhere} meanwhile.`;
}

function rates(): string {
  const lines = samples.flatMap(({ provider, whole }) =>
    (["outlet", "inlet"] as const).map((side) => {
      const { median, min, max } = spread(whole[side]);
      const rate = (us: number) => (1e6 / us).toFixed(0);
      const range = `${rate(max)} to ${rate(min)}`;
      return `${provider.name.padEnd(8)}  ${side.padEnd(6)}  ${rate(median).padStart(6)}  ${range.padEnd(14)}  ${median.toFixed(0).padStart(5)} us`;
    }),
  );
  const [node, noble] = samples as [Samples, Samples];
  const ratio = node.whole.outlet.map((us, round) => noble.whole.outlet[round]! / us);
  return `provider  side    a second per core       each
${lines.join("\n")}
node:crypto is ${spread(ratio).median.toFixed(1)} times as fast as noble at the outlet.`;
}

function shares(): string {
  const columns = samples.flatMap((of) => (["outlet", "inlet"] as const).map((side) => ({ of, side })));
  const cell = (us: number, whole: number) =>
    `${us.toFixed(us < 100 ? 1 : 0)} us ${((us / whole) * 100).toFixed(0).padStart(3)} %`.padStart(15);
  const row = (name: string, us: (column: (typeof columns)[number]) => number) =>
    name.padEnd(28) +
    columns.map((column) => cell(us(column), spread(column.of.whole[column.side]).median)).join("");
  const part = ({ of, side }: (typeof columns)[number], name: Primitive) =>
    spread(of.parts[side][name]).median;
  const rest = (column: (typeof columns)[number]) =>
    spread(column.of.whole[column.side]).median -
    primitives.reduce((sum, name) => sum + part(column, name), 0);
  return [
    " ".repeat(28) + columns.map(({ of, side }) => `${of.provider.name} ${side}`.padStart(15)).join(""),
    ...primitives.map((name) => row(name, (column) => part(column, name))),
    row("rest", rest),
  ].join("\n");
}

function verdict(): string {
  const rate = 1e6 / spread(samples[0]!.whole.outlet).median;
  return `aim: ${AIM_PER_SECOND} a second per core at the outlet with node:crypto: ${rate.toFixed(0)}, ${rate >= AIM_PER_SECOND ? "met" : "not met"}`;
}

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        rounds: { type: "string", default: "9" },
        node: { type: "string", default: "500" },
        noble: { type: "string", default: "50" },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return { rounds: count(values.rounds), node: count(values.node), noble: count(values.noble) };
  } catch (error) {
    process.stderr.write(`handshake: ${(error as Error).message}\n${HELP}`);
    process.exit(2);
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${text} is not a count from 1 to 9999`);
  return Number(text);
}
