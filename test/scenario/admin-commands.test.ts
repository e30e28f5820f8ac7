import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CulvertNode, culvert } from "../harness/culvert.ts";
import {
  type AuthorityNode,
  admin,
  enroll,
  makeDevice,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

let authority: AuthorityNode;
/** Enrolled by a ticket that says its site. */
let member = "";

beforeAll(async () => {
  authority = await startAuthority();
  member = await joined({ site: "berlin", room: "the cellar" });
});

afterAll(async () => {
  await authority.node.stop();
});

describe("culvert ticket", () => {
  it("create prints the ticket alone, and beside it what it is good for", async () => {
    const made = await onAuthority("ticket", "create", "--attribute", "site=berlin", "--uses", "3");
    expect(made.stdout).toMatch(/^culvert-ticket-1\.[\w-]+\.[\w-]{8}\n$/);
    expect(made.stderr).toMatch(/^ticket [0-9a-f]{16}: for 3 devices, ends in (9|10) m\n$/);
  });

  it("create says as JSON what list says then, but for the ticket itself, which is never shown again", async () => {
    const options = ["--attribute", "site=berlin", "--expires", "1h", "--uses", "2", "--service", "other"];
    const made = await admin(authority.node, "ticket", "create", ...options);
    const listed = await admin(authority.node, "ticket", "list");
    const { ticketId, expiresAtMs } = made;
    const one = listed.find((ticket: { ticketId: string }) => ticket.ticketId === ticketId);
    expect(one).toEqual({
      ...{ ticketId, expiresAtMs, createdAtMs: expiresAtMs - 3_600_000 },
      ...{ state: "open", attributes: { site: "berlin" }, service: "other" },
      ...{ uses: 2, used: 0, usedBy: [], refused: 0 },
    });
    expect(JSON.stringify(listed)).not.toContain("culvert-ticket-1");
    expect(authority.node.log).not.toContain("culvert-ticket-1");
  });

  it("list has a line for each", async () => {
    const [head, ...lines] = (await onAuthority("ticket", "list")).stdout.trimEnd().split("\n");
    expect(head!.split(/\s{2,}/)).toEqual([
      ...["TICKET", "STATE", "USED", "ENDS", "SERVICE", "REFUSED", "ATTRIBUTES"],
    ]);
    expect(lines.length).toBe((await admin(authority.node, "ticket", "list")).length);
    expect(lines.find((line) => line.includes("1 of 1"))).toMatch(
      /^[0-9a-f]{16} {2}used +1 of 1 +in (9|10) m +influxdb +0 +(site=berlin room="the cellar"|room="the cellar" site=berlin)$/,
    );
  });

  it("revoke takes the beginning of an id, is safe to run again, and is for good", async () => {
    const ticket = await ticketFrom(authority.node);
    const { ticketId } = await newestOpen();
    const done = await onAuthority("ticket", "revoke", ticketId.slice(0, 8));
    expect({ code: done.exit.code, stdout: done.stdout }).toEqual({
      code: 0,
      stdout: `ticket ${ticketId} is revoked\n`,
    });
    expect(await admin(authority.node, "ticket", "revoke", ticketId)).toMatchObject({ state: "revoked" });
    expect((await enroll(await newStateDir(), ticket)).exit.code).toBe(1);
  });

  const mistakes: [string[], number, RegExp][] = [
    [["ticket", "revoke", "ffffffffffffffff"], 2, /there is no ticket f+; see "ticket list"/],
    [["ticket", "revoke", "abc"], 2, /"abc" is too short for a ticket/],
    [["ticket", "revoke"], 2, /ID is missing/],
    [["ticket"], 2, /there are ticket create, ticket list, ticket revoke/],
    [["ticket", "create", "--attribute", "site"], 2, /"site" is no attribute; write it NAME=VALUE/],
    [["ticket", "create", "--attribute", "a=1", "--attribute", "a=2"], 2, /"a" is given twice/],
    [["ticket", "create", "--attribute", "culvert-authority=true"], 1, /authority's own node alone/],
    [["ticket", "create", "--expires", "soon"], 2, /--expires: "soon" is no duration like 10m or 24h/],
    [["ticket", "create", "--expires", "40d"], 2, /1 second to 31 days/],
    [["ticket", "create", "--uses", "0"], 2, /--uses: "0" is no count of 1 or more/],
    [["ticket", "create", "--use", "2"], 2, /--use/],
  ];
  for (const [args, code, says] of mistakes)
    it(`${args.join(" ")} is one line and ${code}`, async () => {
      const before = await admin(authority.node, "ticket", "list");
      expectRefusal(await onAuthority(...args), code, says);
      expect(await admin(authority.node, "ticket", "list")).toEqual(before);
    });
});

describe("culvert member", () => {
  it("list has a line for each, and all that a program needs as JSON", async () => {
    const { stdout } = await onAuthority("member", "list");
    const line = stdout.split("\n").find((one) => one.startsWith(member))!;
    expect(line).toMatch(
      / {2}active {2}.* ago {2,}127\.0\.0\.1:\d+ {2,}culvert\/\S+ {2,}- {2,}.*site=berlin/,
    );
    const listed = (await admin(authority.node, "member", "list")) as { identifier: string }[];
    expect(listed.find(({ identifier }) => identifier === member)).toMatchObject({
      ...{ state: "active", service: "influxdb", attributes: { site: "berlin", room: "the cellar" } },
      software: expect.stringMatching(/^culvert\//),
    });
  });

  it("show takes the beginning of an identifier, and says by which ticket it came", async () => {
    const shown = await admin(authority.node, "member", "show", member.slice(0, 10));
    expect(shown).toMatchObject({ identifier: member, leases: [], live: [] });
    const { stdout } = await onAuthority("member", "show", member);
    expect(stdout).toMatch(new RegExp(`^identifier +${member}\n`));
    expect(stdout).toContain(`by ticket ${shown.ticketId} for influxdb`);
    expect(stdout).toMatch(/^credential +ends in 2[34] h$/m);
  });

  it("set changes what is named and leaves the rest, and a restart does not forget it", async () => {
    const own = await startAuthority();
    const one = await joined({ site: "berlin", room: "12" }, own);
    const args = ["member", "set", one, "site=bonn", "empty=", "--remove", "room"];
    const changed = { site: "bonn", empty: "" };
    expect((await admin(own.node, ...args)).attributes).toEqual(changed);
    await own.node.kill();
    await own.node.start();
    expect((await admin(own.node, "member", "show", one)).attributes).toEqual(changed);
    await own.node.stop();
  });

  it("unlock of one that is not locked changes nothing", async () => {
    const before = await admin(authority.node, "member", "show", member);
    await admin(authority.node, "member", "unlock", member);
    expect(await admin(authority.node, "member", "show", member)).toEqual(before);
  });

  it("revoke is for good: no unlock, no attributes, no second enrollment", async () => {
    const stateDir = await newStateDir();
    const done = await enroll(stateDir, await ticketFrom(authority.node), "--json");
    const { identifier } = JSON.parse(done.stdout);
    expect(await admin(authority.node, "member", "revoke", identifier)).toMatchObject({ state: "revoked" });
    expect((await onAuthority("member", "revoke", identifier)).exit.code).toBe(0);
    for (const args of [
      ["unlock", identifier],
      ["set", identifier, "site=x"],
    ])
      expectRefusal(await onAuthority("member", ...args), 1, /was revoked, which is for good/);
    const again = await enroll(stateDir, await ticketFrom(authority.node));
    expect(again.exit.code).toBe(1);
    expect(again.stderr).toContain("(member.revoked)");
  });

  const mistakes: [() => string[], number, RegExp][] = [
    [() => ["show", "iiiiiiiiii"], 1, /there is no member i+; see "member list"/],
    [() => ["show", "abc"], 2, /"abc" is too short for a member/],
    [() => ["set", member], 2, /nothing to set; give K=V or --remove K/],
    [() => ["set", member, "a=1", "--remove", "a"], 2, /"a" is both set and removed/],
    [() => ["set", member, "culvert-authority=true"], 1, /authority's own node alone/],
    [() => ["revoke", authority.node.identifier], 2, /authority's own node, which cannot be changed/],
  ];
  for (const [index, [args, code, says]] of mistakes.entries())
    it(`mistake ${index + 1} is one line and ${code}: ${says.source}`, async () => {
      const before = await admin(authority.node, "member", "list");
      expectRefusal(await onAuthority("member", ...args()), code, says);
      expect(await admin(authority.node, "member", "list")).toEqual(before);
    });
});

describe("culvert status", () => {
  it("shows the authority, and as JSON what the status page says", async () => {
    const told = await admin(authority.node, "status");
    const page = await authority.node.status();
    for (const status of [told, page]) delete status.uptimeSeconds;
    expect(told).toEqual(page);
    expect(told.authority.publicKey).toMatch(/^[\w-]{43}$/);
    const { stdout } = await onAuthority("status");
    expect(stdout).toMatch(new RegExp(`^identifier +${authority.node.identifier}$`, "m"));
    expect(stdout).toMatch(/^ready +yes$/m);
    expect(stdout).toContain(`authority   public key ${told.authority.publicKey}`);
  });

  it("finds the node by its config, too, and not by both", async () => {
    const byConfig = ["status", "--json", "--config", authority.node.configFile];
    const env = { INFLUXDB_TOKEN: "unused" };
    expect(JSON.parse((await culvert(byConfig, { env })).stdout).identifier).toBe(authority.node.identifier);
    const both = await culvert([...byConfig, "--state-dir", authority.node.stateDir], { env });
    expectRefusal(both, 2, /both name a state directory; give one of them/);
  });

  it("works in the edge build as well, and tells of an inlet that is no member yet", async () => {
    const device = await makeDevice();
    await device.node.start();
    const options = { binary: "culvert-inlet" } as const;
    const { stdout, exit } = await culvert(["status", "--state-dir", device.node.stateDir], options);
    expect(exit.code).toBe(0);
    expect(stdout).toMatch(/^ready +NO$/m);
    expect(stdout).toMatch(/not enrolled yet: .*culvert enroll/);
    expect(stdout).toMatch(/^enrollment +none/m);
    await device.node.stop();
  });
});

describe("an admin command that cannot be", () => {
  const commands = [
    ["ticket", "list"],
    ["ticket", "create"],
    ["member", "list"],
    ["authority", "backup", "b"],
  ];

  it("says where to run it, on a node without an authority", async () => {
    const device = await makeDevice({ binary: "culvert" });
    await device.node.start();
    for (const args of commands)
      expectRefusal(await on(device.node, ...args), 1, /no authority: run .* whose config has \[authority\]/);
    await device.node.stop();
  });

  it("says that nobody runs, and how to name another", async () => {
    const stopped = await makeDevice();
    const nowhere = join(await tempDir("nobody"), "state");
    for (const stateDir of [stopped.node.stateDir, nowhere])
      for (const args of [...commands, ["status"]]) {
        const asked = await culvert([...args, "--state-dir", stateDir]);
        expectRefusal(asked, 1, /no culvert runs with the state directory \S+: start it, or name the right/);
        expect(asked.stderr).toContain(stateDir);
      }
  });

  it("says so after a crash, too, which leaves the socket", async () => {
    const device = await makeDevice();
    await device.node.start();
    await device.node.kill();
    expectRefusal(await on(device.node, "status"), 1, /no culvert runs with the state directory/);
  });
});

it("the socket is for its owner alone", async () => {
  const found = await stat(join(authority.node.stateDir, "admin.sock"));
  expect(found.isSocket()).toBe(true);
  expect(found.mode & 0o777).toBe(0o600);
});

type Ended = Awaited<ReturnType<typeof culvert>>;

async function on(node: CulvertNode, ...args: string[]): Promise<Ended> {
  return await culvert([...args, "--state-dir", node.stateDir]);
}

async function onAuthority(...args: string[]): Promise<Ended> {
  return await on(authority.node, ...args);
}

function expectRefusal({ exit, stdout, stderr }: Ended, code: number, says: RegExp): void {
  expect(stderr).toMatch(says);
  expect({ code: exit.code, stdout, lines: stderr.trim().split("\n").length }).toEqual({
    ...{ code, stdout: "", lines: 1 },
  });
}

async function joined(attributes: Record<string, string>, { node } = authority): Promise<string> {
  const ticket = await ticketFrom(node, { attributes });
  return JSON.parse((await enroll(await newStateDir(), ticket, "--json")).stdout).identifier;
}

async function newestOpen(): Promise<{ ticketId: string }> {
  const tickets = (await admin(authority.node, "ticket", "list")) as {
    ticketId: string;
    state: string;
    attributes: Record<string, string>;
  }[];
  return tickets.find(
    ({ state, attributes }) => state === "open" && attributes["influxdb-inlet"] === "true",
  )!;
}
