import { describe, expect, it } from "vitest";
import { CertificateWatch } from "../../../src/cli/certificate-watch.ts";
import type { WatchedCertificate } from "../../../src/cli/tls-files.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.parse("2030-01-01T00:00:00Z");

/** A watch on a clock of its own. */
function bed(files: WatchedCertificate[] = []) {
  const log = new MemoryLog();
  let elapsedMs = 0;
  let looks = 0;
  const due: { atMs: number; run: () => void }[] = [];
  const watch = new CertificateWatch({
    service: "influxdb",
    ofFiles: () => files,
    look: () => {
      looks++;
      return Promise.resolve();
    },
    clock: { monotonicMs: () => elapsedMs, wallMs: () => START_MS + elapsedMs },
    schedule(delayMs, run) {
      const timer = { atMs: elapsedMs + delayMs, run };
      due.push(timer);
      return () => void due.splice(due.indexOf(timer), 1);
    },
    log,
  });
  const pass = async (ms: number): Promise<void> => {
    const untilMs = elapsedMs + ms;
    for (let next = due[0]; next && next.atMs <= untilMs; next = due[0]) {
      elapsedMs = next.atMs;
      due.shift();
      next.run();
      await Promise.resolve();
      await Promise.resolve();
    }
    elapsedMs = untilMs;
  };
  const levels = () => log.lines.map(({ level }) => level);
  return { watch, files, log, pass, levels, looks: () => looks, due };
}

const ending = (
  days: number,
  which: WatchedCertificate["which"] = "client",
  subject = "x",
): WatchedCertificate => ({ which, subject, expiresAtMs: START_MS + days * DAY_MS });

describe("CertificateWatch", () => {
  it.each([
    [31, [], "good"],
    [29, ["warn"], "ends-soon"],
    [7.5, ["warn"], "ends-soon"],
    [6.5, ["error"], "ends-very-soon"],
    [-1, ["error"], "over"],
  ])("%d days before the end", (days, levels, state) => {
    const { watch, levels: said } = bed([ending(days)]);
    watch.start();
    expect(said()).toEqual(levels);
    expect(watch.status()).toMatchObject([{ which: "client", subject: "x", state }]);
    expect(watch.metrics()).toMatchObject([
      { name: "outlet_certificate_expires_seconds", value: days * 86_400, labels: { which: "client" } },
    ]);
  });

  it("says it once a day, and at once where it gets worse", async () => {
    const { watch, pass, levels } = bed([ending(9.5)]);
    watch.start();
    await pass(DAY_MS - 1);
    expect(levels()).toEqual(["warn"]);
    await pass(DAY_MS);
    expect(levels()).toEqual(["warn", "warn"]);
    await pass(DAY_MS);
    expect(levels()).toEqual(["warn", "warn", "warn", "error"]);
  });

  it("looks again every hour, and sees what the files have become", async () => {
    const { watch, files, pass, looks, log } = bed([ending(3)]);
    watch.start();
    files[0] = ending(300);
    await pass(3 * HOUR_MS);
    expect(looks()).toBe(3);
    expect(log.lines).toHaveLength(1);
    expect(watch.status()).toMatchObject([{ state: "good" }]);
  });

  it("takes InfluxDB's from connections, and says the same one once", () => {
    const { watch, levels } = bed();
    watch.start();
    for (let i = 0; i < 3; i++) watch.noteServer(ending(3, "influxdb"));
    expect(levels()).toEqual(["error"]);
    watch.noteServer(ending(300, "influxdb", "renewed"));
    expect(levels()).toEqual(["error"]);
    expect(watch.status()).toMatchObject([{ which: "influxdb", subject: "renewed", state: "good" }]);
  });

  it("judges a chain by its earliest end", () => {
    const { watch } = bed([ending(300, "client", "leaf"), ending(3, "client", "between")]);
    expect(watch.status()).toMatchObject([{ subject: "between", state: "ends-very-soon" }]);
  });

  it("judges authorities by the earliest that is not over, and by the last when all are", () => {
    const { watch, files } = bed([
      ending(-9, "ca", "old"),
      ending(20, "ca", "new"),
      ending(90, "ca", "next"),
    ]);
    expect(watch.status()).toMatchObject([{ subject: "new", state: "ends-soon" }]);
    files.splice(1);
    files.push(ending(-2, "ca", "newer"));
    expect(watch.status()).toMatchObject([{ subject: "newer", state: "over" }]);
  });

  it("ends with its timer", () => {
    const { watch, due } = bed([ending(300)]);
    watch.start();
    watch.stop();
    expect(due).toHaveLength(0);
  });
});
