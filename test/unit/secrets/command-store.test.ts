import { spawnSync } from "node:child_process";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commandStore } from "../../../src/secrets/command-store.ts";
import { eventually } from "../../harness/eventually.ts";
import { tempDir } from "../../harness/temporary.ts";

interface Call {
  readonly key?: string;
  readonly environment?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Reads through a shell script of the test's own. */
async function read(script: string, call: Call = {}): Promise<string> {
  const file = join(await tempDir("command"), "print-secret");
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o700);
  const store = commandStore({
    id: "vault",
    command: [file, ...(call.args ?? [])],
    timeoutMs: 10_000,
    environment: call.environment ?? [],
    env: { PATH: process.env.PATH, HOME: "/home/x", HIDDEN: "h", ...call.env },
  });
  return (await store.read(call.key ?? "x", call.signal ?? new AbortController().signal)).reveal();
}

/** What came of it: no fault may hold what the command has printed. */
async function refusal(script: string, call?: Call): Promise<string> {
  const fault = await read(script, call).then(
    () => {
      throw new Error("it was read");
    },
    (thrown) => thrown,
  );
  expect(fault).toMatchObject({ code: "secret.unavailable", message: expect.stringContaining("@{vault:") });
  expect(`${fault.message} ${String(fault.cause)}`).not.toContain("hunter2");
  return fault.message as string;
}

describe("a command as a store", () => {
  it.each(["printf open-sesame", "echo open-sesame", "printf 'open-sesame\\r\\n'"])(
    "gives what it prints: %s",
    async (script) => {
      expect(await read(script)).toBe("open-sesame");
    },
  );

  it("gets the key in its arguments, as it is and without a shell", async () => {
    const key = "a/b $(id) `id`; $HOME $&";
    expect(await read('printf "%s|%s" "$1" "$2"', { key, args: ["-field={key}", "{key}{key}"] })).toBe(
      `-field=${key}|${key}${key}`,
    );
  });

  it("gets PATH, HOME and the variables that are named, and no other", async () => {
    const env = { VAULT_ADDR: "https://vault" };
    const said = await read("env | cut -d= -f1 | sort | tr '\\n' ' '", {
      env,
      environment: ["VAULT_ADDR", "ABSENT"],
    });
    // The shell itself sets a few.
    expect(said.split(" ").filter((name) => !["PWD", "SHLVL", "_", "OLDPWD", ""].includes(name))).toEqual([
      "HOME",
      "PATH",
      "VAULT_ADDR",
    ]);
  });

  it("stands in the root folder, whatever the current one is", async () => {
    expect(await read("pwd")).toBe("/");
  });

  it("L14 that fails is a fault with its exit code and how much it complained, not with what it said", async () => {
    expect(await refusal("echo hunter2; echo hunter2 >&2; exit 3")).toMatch(/exit code 3 and 8 bytes/);
  });

  it.each([
    ["nothing", "true"],
    ["a line break alone", "echo"],
    ["two lines", "echo hunter2; echo hunter2"],
    ["a control character", "printf 'hunter2\\t'"],
    ["what is not UTF-8", "printf 'hunter2\\377'"],
  ])("L14 that prints %s is a fault", async (_, script) => {
    await refusal(script);
  });

  it("that prints without end is ended", async () => {
    expect(await refusal("while :; do echo hunter2hunter2hunter2hunter2; done")).toMatch(
      /more than 65536 bytes/,
    );
  });

  it("that is killed is a fault", async () => {
    expect(await refusal("kill -9 $$")).toMatch(/SIGKILL/);
  });

  it("that is not there is a fault with the system's reason", async () => {
    const store = commandStore({
      id: "vault",
      command: ["/does/not/exist"],
      timeoutMs: 1_000,
      environment: [],
      env: {},
    });
    await expect(store.read("x", new AbortController().signal)).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.stringContaining("ENOENT"),
    });
  });

  it("that may not be run is a fault with the system's reason", async () => {
    const file = join(await tempDir("command"), "print-secret");
    await writeFile(file, "#!/bin/sh\necho hunter2\n", { mode: 0o600 });
    const store = commandStore({ id: "vault", command: [file], timeoutMs: 1_000, environment: [], env: {} });
    await expect(store.read("x", new AbortController().signal)).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.stringContaining("EACCES"),
    });
  });

  it("that hangs is killed at the deadline, with what it has started", async () => {
    const pids = join(await tempDir("pids"), "pids");
    const over = new AbortController();
    const said = refusal(`sleep 300 & echo $$ $! > ${pids}.new; mv ${pids}.new ${pids}; wait`, {
      signal: over.signal,
    });
    const started = await eventually("the command's start", async () =>
      (await readFile(pids, "utf8")).trim().split(" "),
    );
    over.abort();
    expect(await said).toMatch(/took too long/);
    expect(started).toHaveLength(2);
    for (const pid of started) await eventually(`the end of ${pid}`, () => !isAlive(Number(pid)));
  });
});

/** One that has ended and that nobody has asked about yet counts as ended. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}
