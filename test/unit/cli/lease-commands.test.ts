import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { askAdmin } from "../../../src/cli/admin-client.ts";
import { exec } from "../../../src/cli/commands/exec.ts";
import { leaseCommands } from "../../../src/cli/commands/lease.ts";
import { type LeaseRow, type LeaseWish, NodeLeases, type RoleLeases } from "../../../src/cli/node-leases.ts";
import { clear, culvert, serve, stateDirectory } from "./admin-bed.ts";

const commands = [...leaseCommands, exec];

function row(leaseId: string, more: Partial<LeaseRow> = {}): LeaseRow {
  const nowMs = Date.now();
  return {
    ...{ leaseId, service: "influxdb", member: "iabc", profile: "write:metrics", state: "current" },
    ...{ extra: false, madeAtMs: nowMs - 60_500, expiresAtMs: nowMs + 240_500 },
    ...{ requests: 3, receivedBytes: 20, sentBytes: 1 },
    ...more,
  };
}

/** An inlet that gives out what it is asked for, and remembers. */
class FakeRole implements RoleLeases {
  rows: LeaseRow[] = [];
  readonly wishes: LeaseWish[] = [];
  readonly done: string[] = [];
  lifeMs = 60_000;
  refusals: Fault[] = [];
  trouble: Fault | undefined;

  async list() {
    if (this.trouble) throw this.trouble;
    return this.rows;
  }

  async revoke(leaseId: string) {
    this.done.push(`revoke ${leaseId}`);
    const found = this.rows.find((known) => known.leaseId === leaseId);
    return found && { ...found, state: "revoking" };
  }

  async create(wish: LeaseWish) {
    const refusal = this.refusals.shift();
    if (refusal) throw refusal;
    this.wishes.push(wish);
    const made = row(`lease${this.wishes.length}`, { extra: true, expiresAtMs: Date.now() + this.lifeMs });
    this.rows.push(made);
    return { ...made, token: `secret-${this.wishes.length}` };
  }

  async extend(leaseId: string) {
    this.done.push(`extend ${leaseId}`);
    if (this.trouble) throw this.trouble;
    return row(leaseId, { expiresAtMs: Date.now() + this.lifeMs });
  }
}

let stateDir: string;
let role: FakeRole;
beforeEach(async () => {
  stateDir = stateDirectory();
  role = new FakeRole();
  await serve(stateDir, { leases: new NodeLeases(() => [role]) });
});
afterEach(clear);

const run = (...args: string[]) => {
  const [first = "", ...rest] = args;
  const words =
    first === "exec" ? ["exec", "--state-dir", stateDir, ...rest] : [...args, "--state-dir", stateDir];
  return culvert(words, { commands, env: { PATH: process.env.PATH ?? "" } as Record<string, string> });
};

describe("lease list and show", () => {
  it("say what each lease is, in columns", async () => {
    role.rows = [row("0123456789", { extra: true, failedRevocations: 2, state: "revoking" })];
    const { code, out } = await run("lease", "list");
    expect(code).toBe(0);
    expect(out.split("\n")[1]).toMatch(
      /^0123456789 +influxdb +iabc +write:metrics +revoking, extra, 2 tries +1 m ago +in 4 m +- +3 +21$/,
    );
    const shown = await run("lease", "show", "012345");
    expect(shown.out).toMatch(/^ATTENTION +InfluxDB has not deleted it yet, after 2 tries$/m);
  });

  it("say when there is none, and which one is not there", async () => {
    expect((await run("lease", "list")).out).toBe("no leases");
    expect((await run("lease", "show", "nothing")).code).toBe(2);
  });

  it("show the outlet's leases though the inlet beside it has no channel", async () => {
    role.trouble = new Fault("tunnel.down", "no channel");
    const outlet = new FakeRole();
    outlet.rows = [row("of-outlet")];
    expect(await new NodeLeases(() => [outlet, role]).list()).toMatchObject([{ leaseId: "of-outlet" }]);
    await expect(new NodeLeases(() => [role]).list()).rejects.toMatchObject({ code: "tunnel.down" });
  });

  it("say so on a node that has no leases", async () => {
    await expect(new NodeLeases(() => []).list()).rejects.toMatchObject({ code: "admin.unreachable" });
  });
});

describe("lease revoke", () => {
  it("names the lease by its beginning, and shows it as it is then", async () => {
    role.rows = [row("abcdef1234"), row("0123456789")];
    const { code, out } = await run("lease", "revoke", "abcdef");
    expect([code, role.done]).toEqual([0, ["revoke abcdef1234"]]);
    expect(out).toMatch(/^state +revoking$/m);
  });
});

describe("lease create", () => {
  it("prints the token alone", async () => {
    const { code, out, err } = await run("lease", "create", "--expires", "30s", "--service", "influxdb");
    expect([code, out]).toEqual([0, "secret-1"]);
    expect(err).toMatch(/^lease lease1: write:metrics, ends in (59 s|1 m)$/);
    expect(role.wishes).toEqual([{ service: "influxdb", expiresInMs: 30_000 }]);
  });

  it("asks the inlet where there is an outlet beside it, for that gives no more than its member may have", async () => {
    const outlet = new FakeRole();
    await new NodeLeases(() => [outlet, role]).create({});
    expect([outlet.wishes, role.wishes]).toEqual([[], [{}]]);
    await new NodeLeases(() => [outlet]).create({});
    expect(outlet.wishes).toEqual([{}]);
  });

  it.each([[{ nonsense: 1 }], [{ service: 1 }], [{ permissions: "all" }], [{ expiresInMs: -1 }], [[]]])(
    "is refused for %j",
    async (body) => {
      const asked = askAdmin({ stateDir, method: "POST", path: "/leases", body });
      await expect(asked).rejects.toMatchObject({ code: "request.malformed" });
      expect(role.wishes).toEqual([]);
    },
  );
});

describe("exec", () => {
  it("gives one token to variables that ask for the same, and revokes each lease once", async () => {
    const script = 'test "$A,$B,$C" = "secret-1,secret-2,secret-1"';
    const said = await run(
      ...["exec", "--env", "A", "--env", "B=write:a,read:b", "--env", "C", "--", "sh", "-c", script],
    );
    expect([said.code, said.err]).toEqual([0, ""]);
    expect(role.wishes.map(({ permissions }) => permissions)).toEqual([undefined, ["read:b", "write:a"]]);
    expect(role.done.sort()).toEqual(["revoke lease1", "revoke lease2"]);
  });

  it("keeps the lease while the command runs", async () => {
    role.lifeMs = 600;
    expect((await run("exec", "--", "sleep", "1")).code).toBe(0);
    expect(role.done.filter((what) => what === "extend lease1").length).toBeGreaterThanOrEqual(2);
    expect(role.done.at(-1)).toBe("revoke lease1");
  });

  it("says once that the lease cannot be kept, and runs the command to its end", async () => {
    role.lifeMs = 600;
    role.trouble = new Fault("tunnel.down", "no channel");
    const said = await run("exec", "--", "sh", "-c", "sleep 1; exit 3");
    expect(said.code).toBe(3);
    expect(said.err.match(/cannot be kept alive/g)).toHaveLength(1);
    expect(role.done.filter((what) => what === "extend lease1").length).toBeGreaterThanOrEqual(2);
  });

  it("waits its turn where leases were asked for too fast", async () => {
    role.refusals = [new Fault("lease.limit", "too fast")];
    expect((await run("exec", "--", "true")).code).toBe(0);
  });

  it("runs nothing without a token, and gives back what it has", async () => {
    const fail = new Fault("lease.denied", "not yours");
    role.create = async (wish) => {
      if (role.wishes.length > 0) throw fail;
      return await FakeRole.prototype.create.call(role, wish);
    };
    const said = await run("exec", "--env", "A", "--env", "B=write:x", "--", "sh", "-c", "exit 9");
    expect([said.code, role.done]).toEqual([1, ["revoke lease1"]]);
  });

  it.each([["A=metrics"], ["A=delete:metrics"], ["A="], ["1A"], [""], ["A B"]])(
    "refuses --env %j",
    async (text) => {
      expect((await run("exec", "--env", text, "--", "true")).code).toBe(2);
      expect(role.wishes).toEqual([]);
    },
  );

  it("refuses a variable that is given twice, and no command", async () => {
    expect((await run("exec", "--env", "A", "--env", "A=write:x", "--", "true")).code).toBe(2);
    expect((await run("exec", "--env", "A")).code).toBe(2);
  });
});
