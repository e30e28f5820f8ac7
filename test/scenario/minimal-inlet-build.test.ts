import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { type Binary, binary, culvert, identifierOf, startPair, writeLines } from "../harness/culvert.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What an edge device must not carry: rooms of src, and packages. */
const FOREIGN =
  /^src\/(?:outlet|stand-in|authority|relay|import|cli\/demo)\/|^src\/portal\/outlet-|^src\/cli\/(?:outlet-(?!dialer)|portal-outlets)|^src\/secrets\/aws-|(?:^|\/)node_modules\/(?:undici|zod|yaml|diff|@aws-sdk|@smithy)\//;

/** Said in those rooms alone; each is found in the binary that has them. */
const SAID: readonly (readonly [text: string, saidBy: Binary])[] = [
  ["lease description", "culvert-outlet"],
  ["lease.buckets-changed", "culvert-outlet"],
  ["relay.registration-refused", "culvert-outlet"],
  ["relay.pick-up-failed", "culvert-outlet"],
  ["secretsmanager:GetSecretValue", "culvert-outlet"],
  ["UND_ERR_HEADERS_OVERFLOW", "culvert-outlet"],
  ["which is not taken: write the value out", "culvert-outlet"],
  ["ready for queries and writes", "culvert"],
  ["onboarding has already been completed", "culvert"],
];

describe("the minimal edge build", () => {
  it("is bundled without a module of the outlet, the stand-in or undici", async () => {
    const modules = await bundled("culvert-inlet");
    expect(modules).toContain("src/proxy/inlet-app.ts");
    expect(modules.filter((path) => FOREIGN.test(path))).toEqual([]);
    // What is looked for is there to be found.
    expect((await bundled("culvert-outlet")).filter((path) => FOREIGN.test(path)).length).toBeGreaterThan(10);
  });

  it("holds none of their texts as a binary", () => {
    const inlet = readFileSync(binary("culvert-inlet"));
    for (const [text, saidBy] of SAID) {
      expect({ text, in: saidBy, found: readFileSync(binary(saidBy)).includes(text) }).toMatchObject({
        found: true,
      });
      expect({ text, found: inlet.includes(text) }).toEqual({ text, found: false });
    }
  });

  it("carries a write to an outlet", async () => {
    const influx = await startStandInInfluxDb();
    const pair = await startPair({
      influxUrl: influx.url,
      adminToken: influx.operatorToken.reveal(),
      binaries: { inlet: "culvert-inlet", outlet: "culvert-outlet" },
    });
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    expect(await influx.countPoints({ measurement: "m" })).toBe(1);
    await pair.stop();
    await influx.stop();
  });
});

describe("a role that a build does not have", () => {
  let identifier = "";
  beforeAll(async () => {
    identifier = await identifierOf(join(await tempDir("other"), "state"));
  });

  async function refusal(build: Binary, tables: string): Promise<string> {
    const folder = await tempDir("role");
    const file = join(folder, "culvert.toml");
    await writeFile(
      file,
      `[agent]\nstate_dir = "${folder}/state"\nstatus_listen = "127.0.0.1:0"\n${tables}\n`,
    );
    const ended = await culvert(["run", "--config", file], { binary: build });
    expect(ended.exit.code).toBe(1);
    expect(ended.stdout).toBe("");
    return ended.stderr;
  }

  it("is one clear line from culvert-inlet", async () => {
    const said = await refusal(
      "culvert-inlet",
      `[channel]\nlisten = ["tcp://127.0.0.1:0"]\n[[outlets.influxdb]]\nurl = "http://127.0.0.1:1"\norganization = "edge"
token = "x"\nauthorized = ["${identifier}"]\n[[outlets.influxdb.permissions]]\naction = "write"\nbucket = "metrics"`,
    );
    expect(said).toMatch(/^culvert-inlet: .*\[\[outlets\.influxdb\]\].*no outlet.*\n$/);
  });

  it("is one clear line from culvert-outlet", async () => {
    const said = await refusal(
      "culvert-outlet",
      `[channel]\nconnect = ["tcp://127.0.0.1:1"]\n[[inlets.influxdb]]\nlisten = "127.0.0.1:0"\nauthorized = ["${identifier}"]`,
    );
    expect(said).toMatch(/^culvert-outlet: .*\[\[inlets\.influxdb\]\].*no inlet.*\n$/);
  });
});

/** Every module that ends up in the bundle of an entry point, below the project's folder. */
async function bundled(entry: Binary): Promise<string[]> {
  const options = {
    entrypoints: [join(root, `src/cli/${entry}.ts`)],
    target: "bun" as const,
    metafile: true,
  };
  const { success, metafile } = await Bun.build(options);
  expect(success).toBe(true);
  return Object.keys(metafile?.inputs ?? {}).map((path) => relative(root, join(process.cwd(), path)));
}
