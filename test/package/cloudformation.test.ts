/** The CloudFormation template: its rules by cfn-lint, the stack that it makes in moto, and what an instance of it runs. */
import { execFileSync } from "node:child_process";
import { copyFile, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { fileOf, lint, makeStack, type Stack } from "../harness/cloudformation-stack.ts";
import { binary } from "../harness/culvert.ts";
import { DebianMachine, describeMachine } from "../harness/debian-machine.ts";
import { eventually } from "../harness/eventually.ts";
import { describeMoto } from "../harness/moto-aws.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePorts, tempDir } from "../harness/temporary.ts";

checkLeaks();
// A machine boots, and packages are unpacked, while other tests run.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const root = fileURLToPath(new URL("../..", import.meta.url));
const template = join(root, "deploy/cloudformation/outlet.yaml");
const TICKET = "culvert-ticket-1.nobody-must-find-this";
const parameters = {
  InfluxDbUrl: "https://example.timestream-influxdb.eu-central-1.on.aws:8086",
  Organization: "edge",
  Bucket: "metrics",
  TokenSecretArn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:culvert-AbCdEf",
  Relays: "tcp://relay-1.example.com:4434,tcp://relay-2.example.com:4434",
  PackageUri: "s3://example/culvert-outlet-0.1.0-linux-arm64.tar.gz",
  PackageSha256: "0".repeat(64),
};

describeMoto("the template", () => {
  it("has nothing that cfn-lint finds, down to what is for information alone", () => {
    expect(lint(template)).toBe("");
  });

  describe("as a stack", () => {
    let own: Stack;
    let enrolled: Stack;
    beforeAll(async () => {
      own = await stackOfAnAuthority();
      enrolled = await makeStack(template, { ...parameters, EnrollmentTicket: TICKET, Nodes: "2" });
    });

    it("lets nobody in, and gives metadata to nobody who cannot ask for a session first", () => {
      expect(own.inbound).toEqual([]);
      expect(own.launch.MetadataOptions?.HttpTokens).toBe("required");
    });

    it("keeps the ticket out of what an instance starts with (T9)", () => {
      expect(enrolled.userData).not.toContain(TICKET);
      expect(JSON.stringify(enrolled.launch)).not.toContain(TICKET);
      expect(fileOf(enrolled.userData, "/etc/culvert/outlet.toml")).toMatch(
        /\[enroll\]\n {2}ticket = "@\{aws:/,
      );
    });

    it("runs a script that is one, within the 16 KiB that AWS takes", () => {
      for (const { userData } of [own, enrolled]) {
        execFileSync("bash", ["-n"], { input: userData });
        expect(Buffer.byteLength(userData)).toBeLessThan(16_384);
      }
      expect(own.userData).not.toContain("${");
    });

    it("writes a config that culvert takes, with the token by its ARN", () => {
      const written = fileOf(own.userData, "/etc/culvert/outlet.toml");
      expect(written).toContain(
        'relays = ["tcp://relay-1.example.com:4434", "tcp://relay-2.example.com:4434"]',
      );
      const config = parseConfig([{ file: "outlet.toml", text: written }], {});
      expect(config.authority).toBeDefined();
      expect(config.outlets.influxdb[0]).toMatchObject({
        token: { kind: "stored", store: "aws", key: `${parameters.TokenSecretArn}#token` },
      });
    });
  });
});

describeMoto("an instance of it", () => {
  describeMachine("that boots", () => {
    it("has a place of its own for its state; a second one waits until the first is gone", async () => {
      const { userData } = await stackOfAnAuthority();
      const shared = await tempDir("instance");
      const [first, second] = [await instance(shared, userData), await instance(shared, userData)];
      await first.mustSh("systemctl start culvert@outlet");
      expect(await first.property("culvert-place", "StatusText")).toBe("has place 1");
      const identifier = await first.mustSh("culvert identity show --state-dir /var/lib/culvert/outlet");

      await second.mustSh("systemctl start --no-block culvert@outlet");
      await eventually("waiting", async () =>
        /^waits/.test(await second.property("culvert-place", "StatusText")),
      );
      expect(await second.property("culvert@outlet", "ActiveState")).toBe("inactive");

      await first.stop();
      await eventually(
        "the second in the place of the first",
        async () => (await second.property("culvert@outlet", "ActiveState")) === "active",
        { deadlineMs: 20_000 },
      );
      expect(await second.mustSh("culvert identity show --state-dir /var/lib/culvert/outlet")).toBe(
        identifier,
      );
      await second.stop();
    });

    it("logs its status on one line, which says whether it is ready; and runs its node again when its place was lost", async () => {
      const { userData } = await stackOfAnAuthority();
      const machine = await instance(await tempDir("instance"), userData);
      await machine.mustSh("systemctl start culvert@outlet; systemctl start culvert-status");
      const lines = (await machine.mustSh("cat /var/log/culvert/status.log")).split("\n");
      expect(lines.map((line) => JSON.parse(line).ready)).toEqual([true]);
      expect(await machine.mustSh("cat /var/log/culvert/outlet.log")).toContain("node.started");
      const pid = await machine.property("culvert@outlet", "MainPID");
      // On NFS nothing may be in shared memory: the database is one process's alone.
      expect(await machine.mustSh(`grep authority.db /proc/${pid}/maps || true`)).toBe("");
      await machine.mustSh("systemctl kill --signal KILL culvert-place");
      await eventually(
        "another process",
        async () => {
          const now = await machine.property("culvert@outlet", "MainPID");
          return now !== "0" && now !== pid;
        },
        { deadlineMs: 20_000 },
      );
      await machine.stop();
    });
  });
});

const systemdFiles = ["culvert@.service", "tmpfiles.conf"].map((name) => join(root, "deploy/systemd", name));
let made: Promise<Stack> | undefined;

function stackOfAnAuthority(): Promise<Stack> {
  made ??= makeStack(template, parameters);
  return made;
}

/** A machine with the files of the user data; /mnt/culvert, which is EFS there, is a folder that several share. */
async function instance(folder: string, userData: string): Promise<DebianMachine> {
  const packages = join(folder, "packages");
  await mkdir(packages, { recursive: true });
  await mkdir(join(folder, "efs"), { recursive: true });
  for (const file of [binary("culvert-outlet"), ...systemdFiles])
    await copyFile(file, join(packages, basename(file)));
  const machine = await DebianMachine.boot(packages, [`--bind=${join(folder, "efs")}:/mnt/culvert`]);
  await machine.mustSh("useradd --system --uid 870 --home-dir /var/lib/culvert culvert");
  await machine.mustSh(
    "cp /shared/culvert-outlet /usr/bin/culvert; cp /shared/culvert@.service /etc/systemd/system",
  );
  await machine.mustSh(
    "cp /shared/tmpfiles.conf /etc/tmpfiles.d/culvert.conf; systemd-tmpfiles --create culvert.conf",
  );
  for (const path of [
    "/usr/local/sbin/culvert-place",
    "/usr/local/sbin/culvert-log-status",
    "/etc/systemd/system/culvert-place.service",
    "/etc/systemd/system/culvert@outlet.service.d/aws.conf",
    "/etc/systemd/system/culvert-status.service",
  ])
    await machine.put(path, fileOf(userData, path), "0755");
  const [channel, status] = await freePorts(2);
  const config = `[agent]\n  state_dir = "/var/lib/culvert/outlet"\n  status_listen = "127.0.0.1:${status}"
[channel]\n  listen = ["tcp://127.0.0.1:${channel}"]\n[authority]\n`;
  await machine.put("/etc/culvert/outlet.toml", config);
  await machine.mustSh("mkdir -p /var/log/culvert; systemctl daemon-reload");
  return machine;
}
