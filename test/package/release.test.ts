/** What scripts/release makes, for a processor that is not this machine's. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { makePair, writeLines } from "../harness/culvert.ts";
import { describeEmulated, emulated } from "../harness/emulated.ts";
import { NotifySocket } from "../harness/notify-socket.ts";
import { realNode } from "../harness/runtimes.ts";
import { checkLeaks, run, Spawned } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const root = fileURLToPath(new URL("../..", import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const archive = `culvert-inlet-${version}-linux-arm64`;

/** The minimal build alone: all of them take minutes. */
async function release(): Promise<string> {
  const out = join(await tempDir("release"), "out");
  const options = ["--targets", "linux-arm64", "--names", "culvert-inlet", "--no-packages", "--out", out];
  const PATH = `${dirname(realNode())}${delimiter}${process.env.PATH}`;
  const command = join(root, "scripts/release");
  const made = await run({ command, args: options, env: { PATH, CI: "true" } }, { deadlineMs: 280_000 });
  if (made.exit.code !== 0) throw new Error(made.output);
  return out;
}

const sha256 = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

describeEmulated("a release", () => {
  let out = "";
  beforeAll(async () => {
    out = await release();
  }, 300_000);

  it("holds an archive, licences and a bill of materials, and the sums of all of them", () => {
    const files = readdirSync(out).filter((name) => name !== "SHA256SUMS");
    expect(files.sort()).toEqual(
      ["THIRD-PARTY-LICENSES", `culvert-${version}.cdx.json`, `${archive}.tar.gz`].sort(),
    );
    const sums = files.sort().map((name) => `${sha256(join(out, name))}  ${name}\n`);
    expect(readFileSync(join(out, "SHA256SUMS"), "utf8")).toBe(sums.join(""));
  });

  it("has the licences of every package that is bundled, and of the runtime", () => {
    const text = readFileSync(join(out, "THIRD-PARTY-LICENSES"), "utf8");
    for (const name of ["hono", "undici", "toml", "@noble/ciphers", "@aws-sdk/client-secrets-manager"])
      expect(text).toMatch(new RegExp(`^- ${name} \\d`, "m"));
    expect(text).toContain("the Bun runtime");
    expect(text).not.toMatch(/^- (?:vitest|fast-check|typescript) /m);
  });

  it("has the same packages in its bill of materials, with versions, licences and the runtime", () => {
    const bom = JSON.parse(readFileSync(join(out, `culvert-${version}.cdx.json`), "utf8"));
    const listed = readFileSync(join(out, "THIRD-PARTY-LICENSES"), "utf8").matchAll(/^- (\S+) (\d\S*) \(/gm);
    const purls = new Set(bom.components.map((component: { purl: string }) => component.purl));
    for (const [, name, version] of listed)
      expect(purls).toContain(`pkg:npm/${name!.replace("@", "%40")}@${version}`);
    expect([...purls].filter((purl) => /^pkg:npm\/bun@/.test(String(purl)))).toHaveLength(1);
    expect(bom.metadata.component).toMatchObject({ name: "culvert", version, type: "application" });
  });

  it("is the same when it is made again, byte for byte", async () => {
    expect(readFileSync(join(await release(), "SHA256SUMS"), "utf8")).toBe(
      readFileSync(join(out, "SHA256SUMS"), "utf8"),
    );
  }, 300_000);

  it("runs on arm64: carries a point to an outlet of another processor, and tells its service manager", async () => {
    execFileSync("tar", ["-xzf", join(out, `${archive}.tar.gz`), "-C", out]);
    const influx = await startStandInInfluxDb();
    const pair = await makePair({ influxUrl: influx.url, adminToken: influx.operatorToken.reveal() });
    await pair.outlet.start();
    const supervisor = await NotifySocket.open();
    const inlet = new Spawned({
      ...emulated(join(out, archive, "culvert-inlet"), ["run", "--config", pair.inlet.configFile]),
      env: { NOTIFY_SOCKET: supervisor.address },
    });
    await inlet.waitForOutput(/listening: status/, { from: "stdout", deadlineMs: 60_000 });
    await pair.inlet.untilReady({ deadlineMs: 60_000 });
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "m" })).toBe(1);
    expect(supervisor.has(/^READY=1/)).toBe(true);
    await inlet.stop();
    await pair.stop();
    await supervisor.close();
    await influx.stop();
  }, 120_000);
});
