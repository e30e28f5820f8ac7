/** The Debian package on a Debian with systemd: installed, run, replaced while it is in use, removed, purged. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ContinuousWrites } from "../harness/continuous-writes.ts";
import { binary, writeLines } from "../harness/culvert.ts";
import { DebianMachine, describeMachine } from "../harness/debian-machine.ts";
import { eventually } from "../harness/eventually.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { freePorts, tempDir } from "../harness/temporary.ts";

checkLeaks();
// A machine boots, and packages are unpacked, while other tests run.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const root = fileURLToPath(new URL("../..", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
const architecture = process.arch === "arm64" ? "arm64" : "amd64";

const PACKAGES = [
  ["culvert", 1],
  ["culvert", 2],
  ["culvert-inlet", 2],
] as const;

/** Not compressed, which takes most of the time that a package takes. */
async function buildPackages(
  packages: readonly (readonly ["culvert" | "culvert-inlet", number])[],
): Promise<string> {
  const folder = await tempDir("packages");
  for (const [name, revision] of packages) {
    const options = ["--compression", "none", "--revision", String(revision)];
    execFileSync(`${root}/scripts/deb`, [...options, name, binary(name), architecture, folder], {
      stdio: "pipe",
    });
  }
  return folder;
}

describeMachine("the package", () => {
  let machine: DebianMachine;
  let influx: StandInInfluxDb;
  let ports: { inlet: number; channel: number; inletStatus: number; outletStatus: number };
  const install = (name: string, revision: number) =>
    machine.mustSh(`dpkg --install /shared/${name}_*-${revision}_${architecture}.deb`);
  const identifierOf = (node: string) =>
    machine.mustSh(`culvert identity show --state-dir /var/lib/culvert/${node}`);
  const write = (lines: string) => writeLines(`http://127.0.0.1:${ports.inlet}`, lines);

  let packages: string;

  beforeAll(async () => {
    packages = await buildPackages(PACKAGES);
    machine = await DebianMachine.boot(packages);
    influx = await startStandInInfluxDb();
    const [inlet, channel, inletStatus, outletStatus] = await freePorts(4);
    ports = { inlet: inlet!, channel: channel!, inletStatus: inletStatus!, outletStatus: outletStatus! };
  });
  afterAll(async () => {
    await machine?.stop();
    await influx?.stop();
  });

  it("is the same when it is made again, byte for byte", async () => {
    const file = `culvert-inlet_${version}-2_${architecture}.deb`;
    const again = await buildPackages([["culvert-inlet", 2]]);
    expect(readFileSync(join(again, file)).equals(readFileSync(join(packages, file)))).toBe(true);
  });

  it("installs: a user that cannot sign in, a folder for configs that others cannot read, nothing running", async () => {
    await install("culvert", 1);
    expect(await machine.mustSh("getent passwd culvert | cut -d: -f6,7")).toMatch(/:.*nologin$/);
    expect(await machine.mustSh("stat -c '%U:%G %a' /etc/culvert /etc/credstore")).toBe(
      "root:culvert 750\nroot:root 700",
    );
    expect(await machine.mustSh("systemctl list-units --no-legend 'culvert@*'")).toBe("");
  });

  it("says at once, and in the unit's status, why a config is refused, and does not try it again", async () => {
    await machine.put("/etc/culvert/broken.toml", "[agents]\n");
    expect((await machine.sh("systemctl start culvert@broken")).code).toBe(1);
    expect(await machine.property("culvert@broken", "ActiveState")).toBe("failed");
    expect(await machine.property("culvert@broken", "StatusText")).toMatch(/broken\.toml:1: "agents"/);
    expect(await machine.mustSh("journalctl --unit culvert@broken")).toMatch(/broken\.toml:1: "agents"/);
  });

  it("runs the outlet of its example: the token comes from systemd, variables run no code (F1, L14)", async () => {
    const example = readFileSync(`${root}/deploy/debian/examples/outlet.toml`, "utf8");
    const config = replaced(example, [
      ["https://influxdb.example.com:8086", influx.url],
      ["tcp://0.0.0.0:4433", `tcp://127.0.0.1:${ports.channel}`],
      ["tcp://outlet.example.com:4433", `tcp://localhost:${ports.channel}`],
      ["127.0.0.1:23346", `127.0.0.1:${ports.outletStatus}`],
      ['"example"', '"edge"'],
      ['"@{systemd:influxdb-token}"', '"@{systemd:influxdb-token}"\n  allow_operator_token = true'],
    ]);
    await machine.put("/etc/culvert/outlet.toml", config);
    await machine.put("/etc/credstore/culvert-outlet.influxdb-token", influx.operatorToken.reveal(), "0600");
    // Whoever may write this file still cannot run code in the service by it.
    await machine.put("/etc/culvert/outlet.env", "BUN_OPTIONS=--eval\nBUN_BE_BUN=1\nNODE_OPTIONS=--bad\n");
    await machine.mustSh("systemctl enable --now culvert@outlet");
    await eventually(
      "a ready outlet",
      async () => (await machine.property("culvert@outlet", "StatusText")) === "ready",
    );
    const environment = await machine.mustSh(
      "tr '\\0' '\\n' < /proc/$(systemctl show --value --property MainPID culvert@outlet)/environ",
    );
    expect(environment).toContain("STATE_DIRECTORY=/var/lib/culvert/outlet");
    expect(environment).not.toMatch(/BUN_OPTIONS|BUN_BE_BUN|NODE_OPTIONS/);
    expect(environment).not.toContain(influx.operatorToken.reveal());
    // The sandbox hides most of /proc, which metrics are read from.
    const metrics = await (await fetch(`http://127.0.0.1:${ports.outletStatus}/metrics`)).text();
    expect(metrics).toMatch(/^culvert_outlet_ready\S* 1$/m);
    expect(metrics).toMatch(/^culvert_process_resident_bytes [1-9]/m);
  });

  it("checks its config with the secrets of the unit", async () => {
    const given =
      "--property=LoadCredential=influxdb-token:culvert-outlet.influxdb-token --property=User=culvert";
    const checked = await machine.sh(
      `systemd-run --pipe --wait --quiet ${given} /usr/bin/culvert config check --config /etc/culvert/outlet.toml`,
    );
    expect(checked.output).toMatch(/ok/);
    expect(checked.code).toBe(0);
  });

  it("runs the inlet of its example: it enrolls with a ticket from systemd, and starts without one later", async () => {
    const example = readFileSync(`${root}/deploy/debian/examples/inlet.toml`, "utf8");
    const config = replaced(example, [
      ["127.0.0.1:8086", `127.0.0.1:${ports.inlet}`],
      ["127.0.0.1:23345", `127.0.0.1:${ports.inletStatus}`],
    ]);
    await machine.put("/etc/culvert/inlet.toml", config);
    // Too early: it says what is missing, and goes on by itself once that is there.
    expect((await machine.sh("systemctl enable --now culvert@inlet")).code).toBe(1);
    expect(await machine.property("culvert@inlet", "StatusText")).toContain("@{systemd:ticket}");
    const ticket = await machine.mustSh(
      "culvert ticket create --attribute influxdb-inlet=true --config /etc/culvert/outlet.toml",
    );
    await machine.put("/etc/credstore/culvert-inlet.ticket", ticket, "0600");
    await eventually("a first point", async () => (await write("m v=1 1")).status === 204);
    await machine.mustSh("rm /etc/credstore/culvert-inlet.ticket; systemctl restart culvert@inlet");
    await eventually("a second point", async () => (await write("m v=2 2")).status === 204);
    expect(await influx.countPoints({ measurement: "m" })).toBe(2);
  });

  it("is locked in, as systemd-analyze says: exposure 1.2 of 10 at most", async () => {
    await machine.mustSh("systemd-analyze security --threshold=12 culvert@inlet");
    expect(await machine.mustSh("systemd-analyze verify culvert@inlet.service 2>&1")).toBe("");
  });

  it("reads secrets again on systemctl reload", async () => {
    await machine.mustSh("systemctl reload culvert@outlet");
    expect(await machine.property("culvert@outlet", "ActiveState")).toBe("active");
  });

  it("shows nothing of its state to other users, and cannot start other programs", async () => {
    expect(await machine.mustSh("stat -c '%U %a' /var/lib/culvert/inlet")).toBe("culvert 700");
    const pid = await machine.property("culvert@inlet", "MainPID");
    // In the service's own mounts, even root gets no shell to start.
    const shell = await machine.sh(`nsenter --mount --target ${pid} -- /bin/sh -c true`);
    expect(shell.output).toContain("Permission denied");
    expect((await machine.sh(`nsenter --mount --target ${pid} -- /usr/bin/culvert version`)).code).toBe(0);
  });

  it("is started anew by the watchdog when it hangs (O4)", async () => {
    const dropIn = "[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n";
    await machine.put("/etc/systemd/system/culvert@inlet.service.d/quick.conf", dropIn);
    await machine.mustSh("systemctl daemon-reload; systemctl restart culvert@inlet");
    await eventually("a point", async () => (await write("m v=3 3")).status === 204);
    const hung = await machine.property("culvert@inlet", "MainPID");
    await machine.mustSh(`kill -STOP ${hung}`);
    await eventually(
      "another process",
      async () => {
        const pid = await machine.property("culvert@inlet", "MainPID");
        return pid !== "0" && pid !== hung;
      },
      { deadlineMs: 20_000 },
    );
    await eventually("a point after it", async () => (await write("m v=4 4")).status === 204);
    await machine.mustSh("rm -r /etc/systemd/system/culvert@inlet.service.d; systemctl daemon-reload");
    await machine.mustSh("systemctl restart culvert@inlet");
  });

  it("is replaced while it is in use: state stays, and what was acknowledged is in InfluxDB", async () => {
    const before = [await identifierOf("inlet"), await identifierOf("outlet")];
    const writes = new ContinuousWrites([`http://127.0.0.1:${ports.inlet}`], 2, { everyMs: 20 });
    await eventually("writes", () => writes.delivered > 10);
    const pid = await machine.property("culvert@outlet", "MainPID");
    await install("culvert", 2);
    expect(await machine.property("culvert@outlet", "MainPID")).not.toBe(pid);
    const delivered = writes.delivered;
    await eventually("writes through the new one", () => writes.delivered > delivered + 10);
    await writes.stop();
    expect([await identifierOf("inlet"), await identifierOf("outlet")]).toEqual(before);
    // What came meanwhile was answered so that a client sends it again, or not taken at all.
    const outcomes = writes.failures.map(({ outcome }) => outcome);
    expect(
      outcomes.filter((outcome) => outcome !== 503 && !/connect|socket|closed/i.test(String(outcome))),
    ).toEqual([]);
    expect(await writes.missing(influx)).toEqual([]);
  });

  it("gives way to the smaller package: the device goes on as who it is", async () => {
    const before = await identifierOf("inlet");
    await machine.mustSh("systemctl disable --now culvert@outlet");
    await machine.mustSh(`dpkg --remove culvert; dpkg --install /shared/culvert-inlet_*_${architecture}.deb`);
    expect(await machine.mustSh("culvert help | head -1")).toMatch(/^culvert-inlet /);
    // The name that it has in examples, and what comes for shells and man(1).
    await machine.mustSh(
      "culvert-inlet version; zcat /usr/share/man/man1/culvert-inlet.1.gz | grep -q culvert-inlet",
    );
    await machine.mustSh("bash -c '. /usr/share/bash-completion/completions/culvert-inlet'");
    expect(await identifierOf("inlet")).toBe(before);
    expect(await machine.property("culvert@inlet", "ActiveState")).toBe("active");
    expect((await machine.sh("culvert ticket list")).code).toBe(2);
  });

  it("keeps state and config when it is removed, and takes them away when it is purged", async () => {
    await machine.mustSh("dpkg --remove culvert-inlet");
    expect(await machine.mustSh("systemctl list-units --no-legend 'culvert@*'")).not.toContain("running");
    await machine.mustSh("test -f /var/lib/culvert/inlet/identity.json; test -f /etc/culvert/inlet.toml");
    await machine.mustSh("test ! -e /usr/bin/culvert");
    await machine.mustSh("dpkg --purge culvert-inlet culvert");
    await machine.mustSh("test ! -e /var/lib/culvert; test ! -e /etc/culvert");
    expect(await machine.mustSh("find /etc -name '*culvert*'")).toBe("");
  });
});

/** @throws Error when something is not there to be replaced: the example has changed. */
function replaced(text: string, pairs: readonly (readonly [string, string])[]): string {
  return pairs.reduce((from, [old, now]) => {
    if (!from.includes(old)) throw new Error(`the example does not hold ${old}`);
    return from.replaceAll(old, now);
  }, text);
}
