import { execFileSync } from "node:child_process";
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, identifierOf } from "../harness/culvert.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort, tempDir } from "../harness/temporary.ts";

checkLeaks();

/** Somebody else's identifier, to be authorized. */
let identifier = "";
/** A port that another program has. */
let taken: Server;
let takenPort = 0;

beforeAll(async () => {
  identifier = await identifierOf(join(await tempDir("other"), "state"));
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  takenPort = (taken.address() as { port: number }).port;
});

afterAll(() => {
  taken.close();
});

interface Given {
  readonly stateDir?: string;
  readonly status?: string;
  readonly listen?: string;
  /** Keys of the inlet's or the outlet's table, by name. */
  readonly keys?: Readonly<Record<string, string>>;
}

async function inletConfig({ stateDir, status, listen, keys = {} }: Given = {}): Promise<string> {
  const folder = await tempDir("start-up");
  return await written(folder, [
    "[agent]",
    `state_dir = "${stateDir ?? join(folder, "state")}"`,
    `status_listen = "${status ?? "127.0.0.1:0"}"`,
    "[channel]",
    `connect = ["tcp://127.0.0.1:${await freePort()}"]`,
    "[[inlets.influxdb]]",
    `listen = "${listen ?? "127.0.0.1:0"}"`,
    `authorized = ["${identifier}"]`,
    ...lines(keys),
  ]);
}

async function outletConfig({ stateDir, status, listen, keys = {} }: Given = {}): Promise<string> {
  const folder = await tempDir("start-up");
  const all = { url: '"http://127.0.0.1:1"', organization: '"edge"', token: '"a-token"', ...keys };
  return await written(folder, [
    "[agent]",
    `state_dir = "${stateDir ?? join(folder, "state")}"`,
    `status_listen = "${status ?? "127.0.0.1:0"}"`,
    "[channel]",
    `listen = ["tcp://${listen ?? "127.0.0.1:0"}"]`,
    "[[outlets.influxdb]]",
    `authorized = ["${identifier}"]`,
    ...lines(all),
    "[[outlets.influxdb.permissions]]",
    'action = "write"',
    'bucket = "metrics"',
  ]);
}

function lines(keys: Readonly<Record<string, string>>): string[] {
  return Object.entries(keys).map(([name, value]) => `${name} = ${value}`);
}

async function written(folder: string, config: readonly string[]): Promise<string> {
  const file = join(folder, "culvert.toml");
  await writeFile(file, `${config.join("\n")}\n`);
  return file;
}

/** Starts it, and expects it to end with these findings on stderr, one a line, and nothing else anywhere. */
async function expectRefusal(config: string, ...findings: readonly RegExp[]): Promise<void> {
  const ended = await culvert(["run", "--config", config]);
  const said = ended.stderr.split("\n").filter((line) => line !== "");
  expect({ said, stdout: ended.stdout }).toEqual({
    said: findings.map((finding) => expect.stringMatching(finding)),
    stdout: "",
  });
  expect(said[0]).toMatch(/^culvert: /);
  expect(ended.stderr).not.toMatch(/^\s+at |node_modules|internal|undefined|\[object/m);
  expect(ended.exit).toEqual({ code: 1, signal: undefined });
}

describe("an address that cannot be had", () => {
  it("is one line for the channel's port", async () => {
    const file = await outletConfig({ listen: `127.0.0.1:${takenPort}` });
    await expectRefusal(file, new RegExp(`cannot listen on 127.0.0.1:${takenPort}: another program listens`));
  });

  it("is one line for the inlet's port", async () => {
    const file = await inletConfig({ listen: `127.0.0.1:${takenPort}` });
    await expectRefusal(file, new RegExp(`cannot listen on 127.0.0.1:${takenPort}: another program listens`));
  });

  it("is one line for the status port", async () => {
    const file = await inletConfig({ status: `127.0.0.1:${takenPort}` });
    await expectRefusal(file, new RegExp(`cannot listen on 127.0.0.1:${takenPort}: another program listens`));
  });

  it("is one line for an address of another machine", async () => {
    const file = await inletConfig({ listen: "192.0.2.7:0", keys: { expose: "true" } });
    await expectRefusal(file, /cannot listen on 192\.0\.2\.7:0: this machine has no such address/);
  });

  it("is one line for a Unix socket without a folder", async () => {
    const file = await inletConfig({ listen: "unix:///nowhere-at-all/culvert.sock" });
    await expectRefusal(file, /cannot listen on unix:\/\/\/nowhere-at-all\/culvert\.sock: .*folder/);
  });
});

describe("T10: a state directory that is not fit", () => {
  it("is refused where it cannot be made", async () => {
    await expectRefusal(await inletConfig({ stateDir: "/proc/culvert" }), /\/proc\/culvert cannot be made/);
  });

  it("is refused where it is a file", async () => {
    const path = join(await tempDir("state"), "state");
    await writeFile(path, "");
    await expectRefusal(await inletConfig({ stateDir: path }), /state/);
  });

  it("is refused where others may look in, and is left as it was", async () => {
    const stateDir = join(await tempDir("state"), "state");
    await mkdir(stateDir);
    await chmod(stateDir, 0o755);
    await expectRefusal(await inletConfig({ stateDir }), /state is open to other users; run: chmod 700/);
    expect(await readdir(stateDir)).toEqual([]);
  });

  it("is refused where the key file is a link", async () => {
    const [real, stateDir] = [join(await tempDir("real"), "state"), await tempDir("linked")];
    await identifierOf(real);
    await symlink(join(real, "identity.json"), join(stateDir, "identity.json"));
    await expectRefusal(await inletConfig({ stateDir }), /identity\.json is a symbolic link/);
  });

  it("is refused where the key file is open to others", async () => {
    const stateDir = join(await tempDir("open"), "state");
    await identifierOf(stateDir);
    await chmod(join(stateDir, "identity.json"), 0o640);
    await expectRefusal(await inletConfig({ stateDir }), /identity\.json is open to other users/);
  });

  it("is refused where the key file is cut short, which stays as it is", async () => {
    const stateDir = join(await tempDir("short"), "state");
    await identifierOf(stateDir);
    const path = join(stateDir, "identity.json");
    const half = (await readFile(path, "utf8")).slice(0, 40);
    await writeFile(path, half);
    await expectRefusal(await inletConfig({ stateDir }), /identity\.json: /);
    expect(await readFile(path, "utf8")).toBe(half);
  });
});

describe("a config that is wrong", () => {
  it("F4: names file, line and the nearest key for an unknown one", async () => {
    const file = await inletConfig({ keys: { timeuot: '"5s"' } });
    await expectRefusal(file, /culvert\.toml:9: .*"timeuot" is unknown; did you mean "timeout"\?/);
  });

  it("says two findings at once, a line for each", async () => {
    const file = await inletConfig({ keys: { timeuot: '"5s"', max_body: '"huge"' } });
    await expectRefusal(file, /culvert\.toml:9: .*"timeuot"/, /culvert\.toml:10: .*"max_body"/);
  });

  it("F4: refuses an inlet beyond loopback that does not say so", async () => {
    await expectRefusal(await inletConfig({ listen: "0.0.0.0:0" }), /culvert\.toml:7: .*expose = true/);
  });

  it("refuses a URL that is none", async () => {
    const file = await outletConfig({ keys: { url: '"influxdb.example.com:8086"' } });
    await expectRefusal(file, /culvert\.toml:8: .*"url" must be "http:/);
  });

  it("says which file is missing", async () => {
    await expectRefusal("/nowhere-at-all/culvert.toml", /cannot read \/nowhere-at-all\/culvert\.toml/);
  });

  it("is refused when it is not TOML, with its line", async () => {
    const folder = await tempDir("toml");
    await expectRefusal(await written(folder, ["[agent]", "state_dir = "]), /culvert\.toml:2: /);
  });
});

describe("a secret that cannot be read", () => {
  it("is one line for a file that is missing", async () => {
    const file = await outletConfig({ keys: { token: '"@{file:/nowhere-at-all/token}"' } });
    await expectRefusal(file, /secret @\{file:\/nowhere-at-all\/token\}: the file cannot be read/);
  });

  it("is one line for a file that everyone may read", async () => {
    const path = join(await tempDir("secret"), "token");
    await writeFile(path, "a-very-secret-token");
    await chmod(path, 0o644);
    const file = await outletConfig({ keys: { token: `"@{file:${path}}"` } });
    await expectRefusal(file, /mode 0644 lets everyone read it; chmod 0600(?!.*a-very-secret-token)/);
  });

  it("is one line for a variable that is not set", async () => {
    const file = await outletConfig({ keys: { token: '"@{env:CULVERT_NO_SUCH_TOKEN}"' } });
    await expectRefusal(file, /secret @\{env:CULVERT_NO_SUCH_TOKEN\}: the variable is not set/);
  });
});

describe("authorities to trust that cannot be read", () => {
  const https = '"https://127.0.0.1:1"';

  it("are one line for a file that is missing", async () => {
    const file = await outletConfig({ keys: { url: https, tls_ca: '"/nowhere-at-all/ca.pem"' } });
    await expectRefusal(file, /tls_ca: cannot read \/nowhere-at-all\/ca\.pem/);
  });

  it("are one line for a file without a certificate", async () => {
    const path = join(await tempDir("ca"), "ca.pem");
    await writeFile(path, "not a certificate\n");
    await expectRefusal(
      await outletConfig({ keys: { url: https, tls_ca: `"${path}"` } }),
      /no PEM certificate/,
    );
  });

  it("are one line for a certificate that is broken", async () => {
    const path = join(await tempDir("ca"), "ca.pem");
    await writeFile(path, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    await expectRefusal(await outletConfig({ keys: { url: https, tls_ca: `"${path}"` } }), /cannot be read/);
  });
});

describe("usage errors", () => {
  for (const args of [[], ["rnu"], ["run"], ["run", "--confg", "x"], ["run", "x"], ["identity", "show"]]) {
    it(`exit with 2: culvert ${args.join(" ")}`, async () => {
      const ended = await culvert(args);
      expect(ended.exit.code).toBe(2);
      if (args.length > 0) expect(ended.stderr.trim().split("\n")).toHaveLength(1);
    });
  }
});

describe("a node whose last listener cannot be had", () => {
  it("leaves nothing listening and has said nothing of being ready", async () => {
    const first = await freePort();
    const folder = await tempDir("both");
    const inlet = (port: number, service: string) => [
      "[[inlets.influxdb]]",
      `listen = "127.0.0.1:${port}"`,
      `service = "${service}"`,
      `authorized = ["${identifier}"]`,
    ];
    const file = await written(folder, [
      `[agent]\nstate_dir = "${join(folder, "state")}"\nstatus_listen = ""`,
      '[channel]\nconnect = ["tcp://127.0.0.1:1"]',
      ...inlet(first, "one"),
      ...inlet(takenPort, "two"),
    ]);
    await expectRefusal(file, /cannot listen on/);
    await expect(fetch(`http://127.0.0.1:${first}/ping`)).rejects.toThrow();
  });
});

describe("culvert identity show", () => {
  it("prints the identifier alone, the same again, and keeps the key to its owner", async () => {
    const stateDir = join(await tempDir("identity"), "state");
    const first = await culvert(["identity", "show", "--state-dir", stateDir]);
    const second = await culvert(["identity", "show", "--state-dir", stateDir]);
    expect(first.stdout).toMatch(/^[a-z0-9]+\n$/);
    expect(second.stdout).toBe(first.stdout);
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(stateDir, "identity.json"))).mode & 0o777).toBe(0o600);
  });

  it("makes one identity when several processes ask at once", async () => {
    const stateDir = join(await tempDir("identity"), "state");
    const shown = await Promise.all(Array.from({ length: 6 }, () => identifierOf(stateDir)));
    expect(new Set(shown).size).toBe(1);
    expect(await readdir(stateDir)).toEqual(["identity.json"]);
  });

  it("prints the same as JSON", async () => {
    const stateDir = join(await tempDir("identity"), "state");
    const shown = await culvert(["identity", "show", "--json", "--state-dir", stateDir]);
    expect(JSON.parse(shown.stdout)).toEqual({ identifier: await identifierOf(stateDir) });
  });
});

it("ends quietly when whoever reads its output has gone", () => {
  const command = `"$0" config sample | head -n 1`;
  const binary = new URL("../../dist/culvert", import.meta.url).pathname;
  const out = execFileSync("sh", ["-c", `${command} 2>&1`, binary], { encoding: "utf8" });
  expect(out.split("\n")).toHaveLength(2);
});
