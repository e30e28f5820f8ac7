/** sd_notify(3) by the compiled binaries, to a real socket. */
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type Binary, binary } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { describeNotify, NotifySocket } from "../harness/notify-socket.ts";
import { realNode } from "../harness/runtimes.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";
import { freePort, tempDir } from "../harness/temporary.ts";

checkLeaks();

/** A config that starts without anybody else: an inlet whose outlet is away, or an authority. */
const TABLES: Readonly<Record<Binary, () => Promise<string>>> = {
  culvert: async () => `[channel]\n  listen = ["tcp://127.0.0.1:${await freePort()}"]\n[authority]\n`,
  "culvert-outlet": async () =>
    `[channel]\n  listen = ["tcp://127.0.0.1:${await freePort()}"]\n[authority]\n`,
  "culvert-inlet": async () => `[[inlets.influxdb]]\n  listen = "127.0.0.1:${await freePort()}"\n`,
};

async function start(
  name: Binary,
  env: Record<string, string>,
  more = "",
): Promise<{ node: Spawned; stateDir: string }> {
  const folder = await tempDir("notified");
  const stateDir = join(folder, "state");
  const file = join(folder, "culvert.toml");
  const agent = `[agent]\n  state_dir = "${stateDir}"\n  status_listen = "127.0.0.1:${await freePort()}"\n`;
  await writeFile(file, `${agent}${await TABLES[name]()}${more}`);
  return { node: new Spawned({ command: binary(name), args: ["run", "--config", file], env }), stateDir };
}

describeNotify("a service manager", () => {
  it.each(["culvert", "culvert-inlet", "culvert-outlet"] as const)(
    "is told by %s when it is up, when it reads secrets again, and when it ends",
    async (name) => {
      const supervisor = await NotifySocket.open();
      const { node } = await start(name, { NOTIFY_SOCKET: supervisor.address });
      await eventually("READY=1", () => supervisor.has(/^READY=1\nSTATUS=(ready|not ready: .+)$/));
      expect(node.stdout).toContain("listening: ");
      node.signal("SIGHUP");
      await eventually(
        "the end of reloading",
        () => supervisor.has(/^RELOADING=1$/) && supervisor.has(/^READY=1$/),
      );
      await node.stop();
      await eventually("STOPPING=1", () => /^STOPPING=1\n/.test(supervisor.told.at(-1)?.state ?? ""));
      // The process itself says so, no child of it: NotifyAccess=main is enough.
      expect(new Set(supervisor.told.map(({ pid }) => pid))).toEqual(new Set([node.pid]));
      await supervisor.close();
    },
  );

  it("may ask for a reload, or the end, in the instant in which it hears of the start", async () => {
    // One start seldom tells: it is a race.
    for (let round = 0; round < 4; round++) {
      const supervisor = await NotifySocket.open({ answer: "SIGHUP" });
      const { node } = await start("culvert-inlet", { NOTIFY_SOCKET: supervisor.address });
      await eventually("the end of reloading", () => supervisor.has(/^READY=1$/));
      await node.stop();
      await supervisor.close();
      const ending = await NotifySocket.open({ answer: "SIGTERM" });
      const { node: brief } = await start("culvert-inlet", { NOTIFY_SOCKET: ending.address });
      expect(await brief.waitForExit()).toEqual({ code: 0, signal: undefined });
      await eventually("STOPPING=1", () => ending.has(/^STOPPING=1\n/));
      await ending.close();
    }
  });

  it("is reached by an abstract name, too", async () => {
    const supervisor = await NotifySocket.open({
      address: `@culvert-test-${process.pid}-${await freePort()}`,
    });
    const { node } = await start("culvert", { NOTIFY_SOCKET: supervisor.address });
    await eventually("READY=1", () => supervisor.has(/^READY=1/));
    await node.stop();
    await supervisor.close();
  });

  it("hears at once why a config is refused, and that another start would not help", async () => {
    const supervisor = await NotifySocket.open();
    const { node } = await start("culvert", { NOTIFY_SOCKET: supervisor.address }, "[agents]\n");
    expect(await node.waitForExit()).toEqual({ code: 78, signal: undefined });
    await eventually("the reason", () => supervisor.has(/^STATUS=.*culvert\.toml:\d+.*agents/));
    expect(supervisor.has(/READY=1/)).toBe(false);
    expect(node.stderr).toMatch(/culvert\.toml:\d+.*agents/);
    await supervisor.close();
  });

  it("is not told of a config that is refused at a terminal: exit code 1, as ever", async () => {
    const { node } = await start("culvert", {}, "[agents]\n");
    expect(await node.waitForExit()).toEqual({ code: 1, signal: undefined });
  });
});

describeNotify("the watchdog", () => {
  const env = (supervisor: NotifySocket, watchdogMs = 600) => ({
    NOTIFY_SOCKET: supervisor.address,
    WATCHDOG_USEC: String(watchdogMs * 1000),
  });

  it("is fed while the node answers, and not while its event loop hangs", async () => {
    const supervisor = await NotifySocket.open();
    const { node } = await start("culvert-inlet", env(supervisor));
    await eventually("three beats", () => supervisor.count(/^WATCHDOG=1$/) >= 3);
    await node.pause();
    const before = supervisor.count(/^WATCHDOG=1$/);
    // Nothing can tell that nothing comes but time: twice what the watchdog gives.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(supervisor.count(/^WATCHDOG=1$/)).toBe(before);
    node.resume();
    await eventually("another beat", () => supervisor.count(/^WATCHDOG=1$/) > before);
    await node.stop();
    await supervisor.close();
  });

  it("is not fed for a node that cannot be reached, though its event loop turns", async () => {
    const supervisor = await NotifySocket.open();
    const { node, stateDir } = await start("culvert-inlet", env(supervisor));
    await eventually("a beat", () => supervisor.has(/^WATCHDOG=1$/));
    await unlink(join(stateDir, "admin.sock"));
    await node.waitForOutput(/watchdog\.not-fed/);
    const before = supervisor.count(/^WATCHDOG=1$/);
    await eventually(
      "several questions without an answer",
      () => node.output.split("watchdog.not-fed").length > 4,
    );
    expect(supervisor.count(/^WATCHDOG=1$/)).toBe(before);
    await node.stop();
    await supervisor.close();
  });

  it("is for the process that it names: another does not feed it", async () => {
    const supervisor = await NotifySocket.open();
    const { node } = await start("culvert-inlet", { ...env(supervisor, 60), WATCHDOG_PID: "1" });
    // The status is told after 33 of its times.
    await eventually("READY=1", () => supervisor.has(/^READY=1/));
    node.signal("SIGHUP");
    await eventually("the end of reloading", () => supervisor.has(/^READY=1$/));
    await node.stop();
    expect(supervisor.has(/WATCHDOG/)).toBe(false);
    await supervisor.close();
  });
});

describeNotify("on Node", () => {
  it("the service manager is not told, which is said, and all else works", async () => {
    const supervisor = await NotifySocket.open();
    const folder = await tempDir("node");
    const file = join(folder, "culvert.toml");
    await writeFile(
      file,
      `[agent]\n  state_dir = "${folder}/state"\n  status_listen = "127.0.0.1:0"\n${await TABLES["culvert-inlet"]()}`,
    );
    const script = join(import.meta.dirname, "../../dist/culvert.mjs");
    const node = new Spawned({
      command: realNode(),
      args: [script, "run", "--config", file],
      env: { NOTIFY_SOCKET: supervisor.address },
    });
    await node.waitForOutput(/supervisor\.unreachable/);
    await node.stop();
    expect(supervisor.told).toEqual([]);
    await supervisor.close();
  });
});
