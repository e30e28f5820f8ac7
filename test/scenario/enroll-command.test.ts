import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { culvert, identifierOf } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import {
  type AuthorityNode,
  admin,
  enroll,
  enrolling,
  makeDevice,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

let authority: AuthorityNode;

beforeAll(async () => {
  authority = await startAuthority();
});

afterAll(async () => {
  await authority.node.stop();
});

describe("culvert enroll", () => {
  it("takes the ticket as an argument, and says that others may have seen it there", async () => {
    const stateDir = await newStateDir();
    const ticket = await ticketFrom(authority.node);
    const done = await culvert(["enroll", ticket, "--state-dir", stateDir]);
    expect(done.exit.code).toBe(0);
    expect(done.stdout).toBe(
      `${await identifierOf(stateDir)} is a member now, of the authority ${await authorityIdentifier()}\n`,
    );
    expect(done.stderr).toMatch(/seen by other users .* - or @FILE/);
  });

  it("T9 takes it from standard input, or from a file, and then has nothing to warn of", async () => {
    const file = join(await tempDir("ticket"), "ticket");
    await writeFile(file, `${await ticketFrom(authority.node)}\n`);
    await chmod(file, 0o600);
    for (const done of [
      await culvert(["enroll", `@${file}`, "--state-dir", await newStateDir()]),
      await culvert(["enroll", "-", "--state-dir", await newStateDir()], {
        input: `\n  ${await ticketFrom(authority.node)}\n`,
      }),
    ]) {
      expect({ code: done.exit.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
      expect(done.stdout).toMatch(/^\w+ is a member now/);
    }
  });

  it("says the same as JSON", async () => {
    const stateDir = await newStateDir();
    const done = await enroll(stateDir, await ticketFrom(authority.node), "--json");
    expect(JSON.parse(done.stdout)).toEqual({
      identifier: await identifierOf(stateDir),
      authority: await authorityIdentifier(),
      authorityAddresses: [authority.address],
      outletAddresses: expect.any(Array),
      service: "influxdb",
    });
  });

  it("finds the state directory by the config, too", async () => {
    const device = await makeDevice();
    const done = await culvert(["enroll", "-", "--config", device.node.configFile], {
      input: await ticketFrom(authority.node),
    });
    expect(done.exit.code).toBe(0);
    expect(await readdir(device.node.stateDir)).toContain("enrollment.json");
  });

  it("done again with the same ticket changes nothing and asks nobody", async () => {
    const own = await startAuthority();
    const stateDir = await newStateDir();
    const ticket = await ticketFrom(own.node);
    const first = await enroll(stateDir, ticket, "--json");
    const record = await readFile(join(stateDir, "enrollment.json"), "utf8");
    await own.node.stop();
    const again = await enroll(stateDir, ticket, "--json");
    expect(again.exit.code).toBe(0);
    expect(again.stdout).toBe(first.stdout);
    expect(await readFile(join(stateDir, "enrollment.json"), "utf8")).toBe(record);
  });

  it("takes the attributes of a second ticket of the same authority, and keeps its identifier", async () => {
    const stateDir = await newStateDir();
    await enroll(stateDir, await ticketFrom(authority.node, { attributes: { site: "old" } }));
    const identifier = await identifierOf(stateDir);
    const done = await enroll(stateDir, await ticketFrom(authority.node, { attributes: { site: "new" } }));
    expect(done.exit.code).toBe(0);
    expect(await identifierOf(stateDir)).toBe(identifier);
    expect((await admin(authority.node, "member", "show", identifier)).attributes).toEqual({ site: "new" });
  });

  it("T3 refuses another authority's ticket where it is a member already, and leaves all as it is", async () => {
    const stateDir = await newStateDir();
    await enroll(stateDir, await ticketFrom(authority.node));
    const record = await readFile(join(stateDir, "enrollment.json"), "utf8");
    const other = await startAuthority();
    const refused = await enroll(stateDir, await ticketFrom(other.node));
    expect(refused.exit.code).toBe(1);
    expect(refused.stderr).toMatch(/member already, and of another authority .* use another state_dir/);
    expect(await readFile(join(stateDir, "enrollment.json"), "utf8")).toBe(record);
    expect(await admin(other.node, "member", "list")).toEqual([]);
    await other.node.stop();
  });

  it("beside a running inlet makes that a member within seconds, and the inlet shows no ticket", async () => {
    const device = await makeDevice();
    await device.node.start();
    const before = await device.node.status();
    expect(before.enrollment).toMatchObject({ state: "none", lastFault: { code: "enrollment.missing" } });
    expect(before.reasons[0]).toContain("culvert enroll");

    const ticket = await ticketFrom(authority.node);
    expect((await enroll(device.node.stateDir, ticket)).exit.code).toBe(0);
    const after = await eventually(
      "membership",
      async () => {
        const status = await device.node.status();
        return status.enrollment.state === "member" && status;
      },
      { deadlineMs: 5_000 },
    );
    expect(after.identifier).toBe(before.identifier);
    expect(await readFile(`/proc/${device.node.process.pid}/cmdline`, "utf8")).not.toContain(
      "culvert-ticket",
    );
    await device.node.stop();
  });

  it("T9 by the environment: the ticket is in no argument of the inlet", async () => {
    const ticket = await ticketFrom(authority.node);
    const device = await makeDevice({ ticket });
    await device.node.start();
    await eventually("membership", async () => (await device.node.status()).enrollment.state === "member");
    const shown = await readFile(`/proc/${device.node.process.pid}/cmdline`, "utf8");
    expect(shown).toContain("culvert.toml");
    expect(shown).not.toContain("culvert-ticket");
    await device.node.stop();
  });

  it("waits for an authority that is not there yet, and says so meanwhile", { timeout: 60_000 }, async () => {
    const own = await startAuthority();
    const ticket = await ticketFrom(own.node);
    await own.node.stop();
    const waiting = enrolling(await newStateDir(), ticket);
    await waiting.waitForOutput(/; trying again …$/m, { from: "stderr" });
    expect(waiting.stderr).toContain(own.address);
    await own.node.start();
    expect(await waiting.waitForExit({ deadlineMs: 40_000 })).toMatchObject({ code: 0 });
    expect(waiting.stderr.trim().split("\n")).toHaveLength(1);
    await own.node.stop();
  });

  it("says at once what is missing", async () => {
    for (const args of [["enroll"], ["enroll", "@/nowhere-at-all/ticket"], ["enroll", "a", "b"]]) {
      const ended = await culvert([...args, "--state-dir", await newStateDir()]);
      expect(ended.stderr.trim().split("\n")).toHaveLength(1);
      expect(ended.exit.code).toBe(args[1]?.startsWith("@") ? 1 : 2);
    }
  });
});

async function authorityIdentifier(): Promise<string> {
  return (await authority.node.status()).authority.identifier as string;
}
