import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { createLog } from "../../../src/base/log.ts";
import {
  type AuthorityRequestHead,
  decodeReplyHead,
  encodeHead,
  type ReplyHead,
  type RequestHead,
} from "../../../src/channel/exchange.ts";
import { discard } from "../../../src/channel/fault-reply.ts";
import type { Peer } from "../../../src/channel/handshake.ts";
import type { Stream, StreamHandler } from "../../../src/channel/stream.ts";
import { type Attributes, NO_ATTRIBUTES, parseAttributes } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { InfluxdbService, type InfluxdbServiceOptions } from "../../../src/outlet/influxdb-service.ts";
import { ProfileBook } from "../../../src/outlet/lease-profile.ts";
import { ServiceDirectory } from "../../../src/outlet/service-directory.ts";
import type { Upstream, UpstreamHandler, UpstreamRequest } from "../../../src/outlet/upstream.ts";
import { WritePace } from "../../../src/outlet/write-pace.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";
import { parseTemplate } from "../../../src/policy/template.ts";
import { LeaseBed, LIFETIME_MS, settled } from "./lease-bed.ts";

const M = "m".repeat(52) as Identifier;
const N = "n".repeat(52) as Identifier;
const PINNED = "p".repeat(52) as Identifier;

/** Keeps what it was told. */
class RecordedStream implements Stream {
  readonly id = 1;
  heads: ReplyHead[] = [];
  resets: string[] = [];

  sendHead(head: Uint8Array): void {
    this.heads.push(decodeReplyHead(head));
  }

  write(): boolean {
    return true;
  }

  end(): void {}

  reset(reason: string): void {
    this.resets.push(reason);
  }

  consumed(): void {}
}

/** A service over a lease bed, whose InfluxDB answers every request with the status of the test's choice. */
class ServiceBed {
  readonly sent: UpstreamRequest[] = [];
  /** By member; nobody else is one. */
  readonly attributes = new Map<Identifier, Attributes>();
  refusal: Fault | undefined;
  readonly authorityHeads: AuthorityRequestHead[] = [];
  readonly service: InfluxdbService;
  readonly directory: ServiceDirectory;
  readonly leases: LeaseBed;
  status = 204;

  constructor(leases: LeaseBed, options: Partial<InfluxdbServiceOptions> = {}, withAuthority = false) {
    this.leases = leases;
    const log = createLog({
      level: "debug",
      format: "json",
      wallMs: () => 0,
      write: (line) => leases.lines.push(line),
    });
    this.service = new InfluxdbService({
      name: "influxdb",
      subjectOf: ({ identifier }) => {
        if (this.refusal) throw this.refusal;
        const attributes = this.attributes.get(identifier);
        return { identifier, attributes: attributes ?? NO_ATTRIBUTES, isMember: attributes !== undefined };
      },
      rules: { authorized: new Set([PINNED]), allow: parsePolicy("influxdb-inlet"), openRoutes: [] },
      profiles,
      placement: "inlet",
      keeper: leases.keeper,
      upstream: {
        send: (request: UpstreamRequest, handler: UpstreamHandler) => {
          this.sent.push(request);
          handler.onHead(this.status, []);
          handler.onEnd();
          return { resume() {}, abort() {} };
        },
      } as unknown as Upstream,
      pace: undefined,
      maxBodyBytes: 1_000,
      leaseLifetimeMs: LIFETIME_MS,
      log,
      ...options,
    });
    const authority = (stream: Stream, head: AuthorityRequestHead): StreamHandler => {
      this.authorityHeads.push(head);
      return discard(stream);
    };
    this.directory = new ServiceDirectory({
      services: { influxdb: [this.service], tcp: [] },
      log,
      ...(withAuthority ? { authority } : {}),
    });
  }

  member(identifier: Identifier, attributes: Record<string, string>): this {
    this.attributes.set(identifier, parseAttributes({ "influxdb-inlet": "true", ...attributes }));
    return this;
  }

  async ask(identifier: Identifier, head: RequestHead): Promise<ReplyHead | undefined> {
    const stream = new RecordedStream();
    const peer = { identifier } as Peer;
    this.directory.accept(stream, encodeHead(head), peer).onEnd();
    for (let i = 0; i < 50 && stream.heads.length === 0; i++) await settled();
    return stream.heads[0];
  }

  lease(identifier: Identifier): Promise<ReplyHead | undefined> {
    return this.ask(identifier, { kind: "lease", service: "influxdb" });
  }

  write(
    identifier: Identifier,
    token: string,
    target = "/api/v2/write?bucket=b",
  ): Promise<ReplyHead | undefined> {
    const headers = [["authorization", `Token ${token}`]] as const;
    return this.ask(identifier, { kind: "http", service: "influxdb", method: "POST", target, headers });
  }

  async token(identifier: Identifier): Promise<string> {
    const reply = await this.lease(identifier);
    if (reply?.kind !== "lease") throw new Error(`no lease but ${JSON.stringify(reply)}`);
    return reply.token ?? "";
  }
}

const profiles = new ProfileBook({
  permissions: [
    { action: "write", bucket: parseTemplate("metrics") },
    { action: "write", bucket: parseTemplate("site-{{ site }}"), allow: parsePolicy("has(subject.site)") },
    { action: "read", bucket: parseTemplate("metrics"), allow: parsePolicy("reader") },
  ],
});

async function serviceBed(
  options: Partial<InfluxdbServiceOptions> = {},
  withAuthority = false,
): Promise<ServiceBed> {
  const leases = new LeaseBed();
  leases.influxdb.buckets.set("site-berlin", "00000000000000b2");
  return new ServiceBed(await leases.start(), options, withAuthority);
}

describe("a service of the outlet", () => {
  it("gives each member a lease of what its attributes say", async () => {
    const bed = (await serviceBed()).member(M, {}).member(N, { site: "berlin", reader: "true" });
    expect(await bed.lease(M)).toMatchObject({ kind: "lease", routes: ["write"] });
    expect(await bed.lease(N)).toMatchObject({ kind: "lease", routes: ["write", "read"] });
    expect(bed.leases.rights).toEqual(["write:b1", "write:b1,write:b2,read:b1"]);
  });

  it("gives a seal with the token, and takes the lease back for it after a restart", async () => {
    const before = (await serviceBed()).member(M, {});
    const reply = await before.lease(M);
    if (reply?.kind !== "lease") throw new Error("no lease");
    const { leaseId, token, resume } = reply;
    expect(resume).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const leases = await new LeaseBed({}, before.leases.influxdb, 1.8e12 + 1_000).start();
    const bed = new ServiceBed(leases).member(M, {}).member(N, {});
    const held = { leaseId, token: token!, resume: resume! };
    const ask = (member: Identifier, more = {}) =>
      bed.ask(member, { kind: "lease", service: "influxdb", held, ...more });
    expect(await bed.write(M, token!)).toEqual({ kind: "fault", code: "lease.rejected" });
    expect(await ask(N)).not.toMatchObject({ leaseId });
    expect(await bed.write(N, token!)).toEqual({ kind: "fault", code: "lease.rejected" });
    expect(await ask(M)).toMatchObject({ kind: "lease", leaseId, token, resume });
    expect(await bed.write(M, token!)).toMatchObject({ kind: "http", status: 204 });
    // What InfluxDB refused is not taken back, though it is shown.
    expect(await ask(M, { rejected: leaseId })).not.toMatchObject({ leaseId });
  });

  it("gives no seal where the token stays here", async () => {
    const bed = (await serviceBed({ placement: "outlet" })).member(M, {});
    const reply = await bed.lease(M);
    expect(reply).toMatchObject({ kind: "lease" });
    expect(reply).not.toHaveProperty("token");
    expect(reply).not.toHaveProperty("resume");
  });

  it("gives a pinned node what is for everyone", async () => {
    const bed = await serviceBed();
    expect(await bed.lease(PINNED)).toMatchObject({ kind: "lease", routes: ["write"] });
  });

  it("lets a member write with its lease, and refuses another's token", async () => {
    const bed = (await serviceBed()).member(M, {}).member(N, {});
    const token = await bed.token(M);
    expect(await bed.write(M, token)).toMatchObject({ kind: "http", status: 204 });
    expect(bed.sent[0]?.headers).toContainEqual(["authorization", `Token ${token}`]);
    expect(await bed.write(N, token)).toEqual({ kind: "fault", code: "lease.rejected" });
    expect(bed.sent).toHaveLength(1);
  });

  it.each([
    ["member.revoked"],
    ["member.locked"],
    ["credential.expired"],
    ["handshake.unauthorized"],
  ] as const)("T7 tells %s, whatever the stream is for, and nothing reaches InfluxDB", async (code) => {
    const bed = (await serviceBed()).member(M, {});
    const token = await bed.token(M);
    bed.refusal = new Fault(code, "not any more");
    expect(await bed.lease(M)).toEqual({ kind: "fault", code });
    expect(await bed.write(M, token)).toEqual({ kind: "fault", code });
    expect(await bed.write(M, token, "/ping")).toEqual({ kind: "fault", code });
    expect(bed.sent).toHaveLength(0);
  });

  it("denies who is no member, and a member that the policy does not name", async () => {
    const bed = await serviceBed();
    expect(await bed.lease(M)).toEqual({ kind: "fault", code: "policy.denied" });
    bed.attributes.set(M, parseAttributes({ other: "true" }));
    expect(await bed.lease(M)).toEqual({ kind: "fault", code: "policy.denied" });
    expect(bed.leases.influxdb.authorizations.size).toBe(0);
  });

  it("asks the policy of each request when it looks at requests", async () => {
    const allow = parsePolicy(`request.bucket == "b"`);
    const rules = { authorized: new Set<Identifier>(), allow, openRoutes: [] };
    const bed = (await serviceBed({ rules })).member(M, {});
    const token = await bed.token(M);
    expect(await bed.write(M, token)).toMatchObject({ kind: "http" });
    expect(await bed.write(M, token, "/api/v2/write?bucket=c")).toEqual({
      kind: "fault",
      code: "policy.denied",
    });
    expect(await bed.write(M, token)).toMatchObject({ kind: "http" });
  });

  it("refuses the token of a member whose attributes have changed since, and gives it a new lease", async () => {
    const bed = (await serviceBed()).member(M, { site: "berlin" });
    const token = await bed.token(M);
    bed.member(M, {});
    expect(await bed.write(M, token)).toEqual({ kind: "fault", code: "lease.rejected" });
    await settled();
    expect(bed.leases.rights).toEqual([]);
    expect(await bed.token(M)).not.toBe(token);
    expect(bed.leases.rights).toEqual(["write:b1"]);
  });

  it("ends at once what changed attributes do not give, without a request", async () => {
    const bed = (await serviceBed()).member(M, { site: "berlin" }).member(N, { site: "berlin" });
    await bed.token(M);
    await bed.token(N);
    bed.service.memberChanged({ identifier: M, attributes: parseAttributes({}), isMember: true });
    await settled();
    expect(bed.leases.rights).toEqual(["write:b1,write:b2"]);
  });

  it("tells once of a member that was refused a lease and may have one now", async () => {
    const bed = (await serviceBed()).member(M, { site: "_monitoring" });
    expect(await bed.lease(M)).toMatchObject({ kind: "fault", code: "lease.denied" });
    const changed = (site: string) =>
      bed.service.memberChanged({
        identifier: M,
        attributes: parseAttributes({ "influxdb-inlet": "true", site }),
        isMember: true,
      });
    expect(changed("_tasks")).toBe("not served");
    expect(changed("berlin")).toBe("served again");
    expect(changed("bonn")).toBe("served");
  });

  it("keeps the lease of a member whose other attributes change", async () => {
    const bed = (await serviceBed()).member(M, { site: "berlin" });
    const token = await bed.token(M);
    const attributes = parseAttributes({ "influxdb-inlet": "true", site: "berlin", floor: "3" });
    bed.service.memberChanged({ identifier: M, attributes, isMember: true });
    bed.attributes.set(M, attributes);
    expect(await bed.write(M, token)).toMatchObject({ kind: "http" });
  });

  it("denies the member alone whose attribute makes no bucket's name, and that takes its lease", async () => {
    const bed = (await serviceBed()).member(M, { site: "berlin" }).member(N, { site: "berlin" });
    await bed.token(M);
    await bed.token(N);
    bed.member(M, { site: "_monitoring" });
    expect(await bed.lease(M)).toEqual({ kind: "fault", code: "lease.denied" });
    await settled();
    expect(bed.leases.rights).toEqual(["write:b1,write:b2"]);
    expect(bed.leases.logged("request.refused")).toBe(1);
    expect(bed.leases.keeper.readiness).toEqual({ ready: true });
  });

  it("an answer to a request from before does not bring the rights before back", async () => {
    const bed = (await serviceBed()).member(M, { site: "berlin" });
    const token = await bed.token(M);
    await bed.leases.time.advance(LIFETIME_MS / 4);
    bed.status = 401;
    const stream = new RecordedStream();
    const headers = [["authorization", `Token ${token}`]] as const;
    const head = {
      kind: "http",
      service: "influxdb",
      method: "POST",
      target: "/write?db=b",
      headers,
    } as const;
    const handler = bed.directory.accept(stream, encodeHead(head), { identifier: M } as Peer);
    bed.member(M, {});
    await bed.token(M);
    handler.onEnd();
    for (let i = 0; i < 50 && stream.heads.length === 0; i++) await settled();
    expect(stream.heads[0]).toMatchObject({ kind: "http", status: 401 });
    expect(bed.leases.rights).toEqual(["write:b1"]);
  });

  it("lets a member that may have no lease ask whether InfluxDB is there", async () => {
    const bed = (await serviceBed()).member(M, { site: "_tasks" });
    expect(await bed.write(M, "none", "/api/v2/write")).toEqual({ kind: "fault", code: "lease.denied" });
    const head = { kind: "http", service: "influxdb", method: "GET", target: "/ping", headers: [] } as const;
    expect(await bed.ask(M, head)).toMatchObject({ kind: "http", status: 204 });
  });

  it("uses the lease of the profile of now where tokens stay at the outlet", async () => {
    const bed = (await serviceBed({ placement: "outlet" })).member(M, { site: "berlin" });
    expect(await bed.lease(M)).not.toHaveProperty("token");
    expect(await bed.write(M, "none")).toMatchObject({ kind: "http" });
    const used = bed.sent[0]?.headers;
    bed.member(M, {});
    expect(await bed.write(M, "none")).toEqual({ kind: "fault", code: "lease.rejected" });
    await bed.lease(M);
    expect(await bed.write(M, "none")).toMatchObject({ kind: "http" });
    expect(bed.sent[1]?.headers).not.toEqual(used);
  });
});

describe("a stream that is for no service", () => {
  it("goes to the authority of this node", async () => {
    const bed = await serviceBed({}, true);
    const handler = bed.directory.accept(new RecordedStream(), encodeHead({ kind: "renew" }), {
      identifier: M,
    } as Peer);
    handler.onEnd();
    expect(bed.authorityHeads).toEqual([{ kind: "renew" }]);
  });

  it("is refused where this node is no authority", async () => {
    const bed = await serviceBed();
    for (const head of [{ kind: "renew" }, { kind: "enroll", pass: "p", proof: "q" }] as const) {
      expect(await bed.ask(M, head)).toEqual({ kind: "fault", code: "request.route" });
    }
  });

  it("is refused for a service of another name", async () => {
    const bed = await serviceBed();
    expect(await bed.ask(M, { kind: "lease", service: "other" })).toEqual({
      kind: "fault",
      code: "request.route",
    });
  });

  it("is reset when its head cannot be read", async () => {
    const bed = await serviceBed();
    const stream = new RecordedStream();
    bed.directory.accept(stream, new TextEncoder().encode("{"), { identifier: M } as Peer).onEnd();
    expect(stream.resets).toEqual(["protocol"]);
  });
});

describe("a crowd that comes back", () => {
  const crowdOf = (count: number, { service }: ServiceBed): void => {
    for (let i = 0; i < count; i++) {
      try {
        service.pace?.begin(`other-${i}`);
      } catch {
        // Its turn is later: that makes the crowd.
      }
    }
  };
  const pace = () =>
    new WritePace({ windowMs: 30_000, maxWrites: 256, clock: { monotonicMs: () => 0, wallMs: () => 0 } });

  it("is told when its turn is, in writes alone, without a warning for each", async () => {
    const bed = await serviceBed({ pace: pace() });
    const token = await bed.member(M, {}).token(M);
    crowdOf(200, bed);
    const refused = await bed.write(M, token);
    expect(refused).toEqual({ kind: "fault", code: "upstream.paced", retryAfterMs: expect.any(Number) });
    expect(bed.sent).toEqual([]);
    expect(bed.service.counts).toMatchObject({ requests: 0, refused: 0, active: 0 });
    expect(
      bed.leases.lines.filter((line) => line.includes("request.refused") && line.includes("warn")),
    ).toEqual([]);
    const ping = await bed.ask(M, {
      kind: "http",
      service: "influxdb",
      method: "GET",
      target: "/ping",
      headers: [],
    });
    expect(ping).toMatchObject({ kind: "http", status: 204 });
  });

  it("a write that is over makes room for the member's next", async () => {
    const bed = await serviceBed({ pace: pace() });
    const token = await bed.member(M, {}).token(M);
    expect(await bed.write(M, token)).toMatchObject({ status: 204 });
    crowdOf(200, bed);
    expect(await bed.write(M, token)).toMatchObject({ status: 204 });
    expect(await bed.write(M, token)).toMatchObject({ status: 204 });
  });
});
