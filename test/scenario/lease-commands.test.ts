import { expect, it } from "vitest";
import { type CulvertNode, culvert, startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { leasedTokens } from "../harness/leased-tokens.ts";
import { type RealInfluxDb, startRealInfluxDb } from "../harness/real-influxdb.ts";
import { describeReal } from "../harness/real-servers.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

/** Many waits in a row, each with its own deadline; on a busy machine they add up. */
const PATIENCE_MS = 60_000;

interface Row {
  readonly leaseId: string;
  readonly extra: boolean;
  readonly state: string;
}

const pairOptions = (influx: RealInfluxDb) => ({
  influxUrl: influx.url,
  adminToken: influx.operatorToken.reveal(),
  permissions: ["write:metrics", "read:metrics"],
});

async function said(node: CulvertNode, ...args: string[]) {
  return await culvert([...args, "--state-dir", node.stateDir]);
}

async function told<T>(node: CulvertNode, ...args: string[]): Promise<T> {
  const answer = await said(node, ...args, "--json");
  expect([answer.exit.code, answer.stderr]).toEqual([0, ""]);
  return JSON.parse(answer.stdout) as T;
}

describeReal(["influxd"], "the lease commands", () => {
  it("list and show what each lease is and was used for, all at the outlet, its own at an inlet", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ ...pairOptions(influx), inlets: 2 });
    const [inlet] = pair.inlets;
    for (let i = 0; i < 3; i++) expect((await writeLines(pair.url, `m v=${i} ${i + 1}`)).status).toBe(204);

    const all = await told<Row[]>(pair.outlet, "lease", "list");
    const tokens = await leasedTokens(influx);
    expect(all.map(({ leaseId }) => leaseId).sort()).toEqual(tokens.map(({ leaseId }) => leaseId).sort());
    const own = tokens.find(({ member }) => member === inlet!.identifier)!;
    expect(await told(pair.outlet, "lease", "show", own.leaseId.slice(0, 8))).toMatchObject({
      ...{ leaseId: own.leaseId, service: "influxdb", member: inlet!.identifier, state: "current" },
      ...{ extra: false, authorizationId: own.id, requests: 3, receivedBytes: 3 * "m v=0 1".length },
      ...{ profile: "write:metrics,read:metrics", permissions: ["write:metrics", "read:metrics"] },
      ...{ madeAtMs: expect.any(Number), lastUsedAtMs: expect.any(Number) },
    });
    const rows = await told<Row[]>(inlet!, "lease", "list");
    expect(rows).toMatchObject([{ leaseId: own.leaseId, member: inlet!.identifier, requests: 3 }]);
    const table = await said(pair.outlet, "lease", "list");
    expect(table.stdout).toMatch(/^LEASE +SERVICE +MEMBER +PROFILE/);
    expect(table.stdout).toMatch(new RegExp(`${own.leaseId} .* current .* 3 +21$`, "m"));
    await pair.stop();
    await influx.stop();
  });

  it("L7 revoke ends a lease in InfluxDB at once, and its member goes on with another", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ ...pairOptions(influx), inlets: 2 });
    const [first, second] = await told<Row[]>(pair.outlet, "lease", "list");
    const revoked = await said(pair.outlet, "lease", "revoke", first!.leaseId);
    expect([revoked.exit.code, revoked.stdout]).toEqual([0, expect.stringMatching(/^state +revoking$/m)]);
    await eventually("its end", async () =>
      (await leasedTokens(influx)).every(({ leaseId }) => leaseId !== first!.leaseId),
    );
    for (const url of pair.urls) expect((await writeLines(url, "m v=1")).status).toBe(204);
    const now = await told<Row[]>(pair.outlet, "lease", "list");
    expect(now.map(({ leaseId }) => leaseId)).toContain(second!.leaseId);
    expect(now).toHaveLength(2);

    // An inlet does not even see what another has.
    for (const inlet of pair.inlets) {
      const [own] = await told<Row[]>(inlet, "lease", "list");
      const others = now.find(({ leaseId }) => leaseId !== own!.leaseId)!;
      expect((await said(inlet, "lease", "revoke", others.leaseId)).exit.code).toBe(2);
    }
    expect(await leasedTokens(influx)).toHaveLength(2);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });

  it("create gives a script a token of its own, four at most, each dead on time", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair(pairOptions(influx));
    const { inlet } = pair;
    const made = await said(inlet, "lease", "create");
    expect([made.exit.code, made.stdout]).toEqual([0, expect.stringMatching(/^\S{40,}\n$/)]);
    expect(made.stderr).toMatch(/^lease \w+: write:metrics read:metrics, ends in (4|5) m\n$/);
    const token = made.stdout.trim();
    expect((await influx.write("script v=1", { token })).status).toBe(204);
    // The inlet's own lease is not superseded by it.
    expect((await writeLines(pair.url, "m v=1")).status).toBe(204);

    const short = await told<Row & { token: string }>(inlet, "lease", "create", "--expires", "1s");
    await eventually("its end", async () => (await influx.write("m v=1", short)).status === 401);
    for (let i = 0; i < 3; i++) await told(inlet, "lease", "create");
    const fifth = await said(inlet, "lease", "create");
    expect([fifth.exit.code, fifth.stdout]).toEqual([1, ""]);
    expect(fifth.stderr).toContain("lease.limit");

    const rows = await told<Row[]>(inlet, "lease", "list");
    expect(rows.filter(({ extra }) => extra)).toHaveLength(4);
    const [, leaseId] = /^lease (\w+)/.exec(made.stderr)!;
    expect((await said(inlet, "lease", "revoke", leaseId!)).exit.code).toBe(0);
    await eventually("its end", async () => (await influx.write("m v=1", { token })).status === 401);
    for (const node of [pair.inlet, pair.outlet]) expect(node.log).not.toContain(token);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });

  it("create gives a member none where tokens stay at the outlet", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair({ ...pairOptions(influx), outlet: 'lease_placement = "outlet"' });
    const refused = await said(pair.inlet, "lease", "create");
    expect([refused.exit.code, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toContain('lease_placement = "outlet"');
    expect(await leasedTokens(influx)).toHaveLength(1);
    await pair.stop();
    await influx.stop();
  });

  it("create at an outlet gives the operator a token with the service's rights, dead on time or when revoked", {
    timeout: PATIENCE_MS,
  }, async () => {
    const influx = await startRealInfluxDb();
    const pair = await startPair(pairOptions(influx));
    const made = await told<Row & { token: string; member: string; permissions: string[] }>(
      pair.outlet,
      "lease",
      "create",
    );
    expect(made).toMatchObject({
      member: "operator",
      extra: true,
      permissions: ["write:metrics", "read:metrics"],
    });
    expect((await influx.write("operator v=1", made)).status).toBe(204);
    const short = await told<Row & { token: string }>(pair.outlet, "lease", "create", "--expires", "1s");
    await eventually("its end", async () => (await influx.write("m v=1", short)).status === 401);
    // It is the operator's: the member neither sees nor ends it.
    const own = await told<Row[]>(pair.inlet, "lease", "list");
    expect(own.map(({ leaseId }) => leaseId)).not.toContain(made.leaseId);
    expect((await said(pair.outlet, "lease", "create", "--service", "nonsense")).exit.code).toBe(1);
    expect((await said(pair.outlet, "lease", "revoke", made.leaseId)).exit.code).toBe(0);
    await eventually("its end", async () => (await influx.write("m v=1", made)).status === 401);
    expect(pair.outlet.log).not.toContain(made.token);
    await pair.stop();
    expect(await leasedTokens(influx)).toEqual([]);
    await influx.stop();
  });
});
