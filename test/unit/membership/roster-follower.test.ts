import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { RosterLine, RosterReplyHead, RosterRequestHead } from "../../../src/channel/exchange.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import type { Member, MemberState } from "../../../src/identity/roster.ts";
import { type BarredStore, RosterFollower } from "../../../src/membership/roster-follower.ts";
import type { Acceptor } from "../../../src/transport/acceptor.ts";
import { directConnector } from "../../../src/transport/connector.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import {
  anAuthorityEnd,
  aParty,
  attributesOf,
  codeOfPromise,
  newIdentity,
  PORT,
  Signer,
} from "./authority-bed.ts";

const stops: (RosterFollower | Acceptor)[] = [];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
  });
});

afterEach(async () => {
  for (const each of stops.splice(0)) "stop" in each ? each.stop() : each.close("normal");
  await turns();
  vi.useRealTimers();
});

async function turns(): Promise<void> {
  for (let i = 0; i < 60; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  await turns();
  vi.advanceTimersByTime(1);
  await turns();
  for (let left = ms; left > 0; left -= 1_000) {
    vi.advanceTimersByTime(Math.min(left, 1_000));
    await turns();
  }
}

class MemoryBarred implements BarredStore {
  text: string | undefined;
  saves = 0;

  load(): Promise<string | undefined> {
    return Promise.resolve(this.text);
  }

  save(text: string): Promise<void> {
    this.saves++;
    this.text = text;
    return Promise.resolve();
  }
}

/** An authority with a list of changes, two to a page. */
class Bed {
  readonly wires = new MemoryWires();
  readonly signer = new Signer();
  readonly store = new MemoryBarred();
  /** How many members were known each time that the list became complete. */
  readonly completions: number[] = [];
  readonly log = new MemoryLog();
  readonly changes: Member[] = [];
  readonly lines: { revision: number; line: RosterLine }[] = [];
  readonly requests: RosterRequestHead[] = [];
  #last = 0;
  #acceptor: Acceptor | undefined;
  /** In place of the page. */
  reply: RosterReplyHead | { kind: "fault"; code: "policy.denied" } | undefined;

  list(state: MemberState, identifier = newIdentity().identifier): Identifier {
    const at = this.lines.findIndex(({ line }) => line.identifier === identifier);
    if (at >= 0) this.lines.splice(at, 1);
    this.lines.push({
      revision: ++this.#last,
      line: { identifier, state, attributes: attributesOf("inlet") },
    });
    return identifier;
  }

  /** As from a backup: revisions start again. */
  restore(...identifiers: Identifier[]): void {
    this.lines.splice(0);
    this.#last = 0;
    for (const identifier of identifiers) this.list("active", identifier);
  }

  async listen(): Promise<void> {
    const { acceptor } = await anAuthorityEnd({
      wires: this.wires,
      signer: this.signer,
      answer: (head) => {
        if (head.kind !== "roster") return "reset";
        this.requests.push(head);
        return this.reply ?? this.#page(head.since);
      },
    });
    this.#acceptor = acceptor;
    stops.push(acceptor);
  }

  async away(): Promise<void> {
    this.#acceptor?.close("normal");
    await pass(1_000);
  }

  async follower(): Promise<RosterFollower> {
    const outlet = newIdentity();
    const follower: RosterFollower = new RosterFollower({
      party: aParty(outlet, () => ({ credential: this.signer.credentialFor(outlet.identifier) })),
      limits: defaultLimits,
      suite: "AESGCM",
      keepaliveMs: 120_000,
      maxAgeMs: 3_600_000,
      connector: directConnector(this.wires),
      ticker: new Ticker(),
      trust: this.signer.trust(systemClock),
      authorityAddresses: () => [`tcp://127.0.0.1:${PORT}`],
      services: ["influxdb"],
      addresses: () => ["tcp://outlet:4433"],
      store: this.store,
      onComplete: () => this.completions.push(follower.status().members),
      clock: systemClock,
      log: this.log,
      random: () => 0.5,
    });
    follower.onChange((member) => this.changes.push(member));
    stops.push(follower);
    await follower.start();
    await pass(0);
    return follower;
  }

  #page(since: number): RosterReplyHead {
    const later = this.lines.filter(({ revision }) => revision > since);
    const taken = since > this.#last ? [] : later.slice(0, 2);
    return {
      kind: "roster",
      revision: taken.at(-1)?.revision ?? Math.min(since, this.#last),
      more: later.length > taken.length,
      members: taken.map(({ line }) => line),
    };
  }
}

async function following(...states: MemberState[]) {
  const bed = new Bed();
  const members = states.map((state) => bed.list(state));
  await bed.listen();
  return { bed, members, follower: await bed.follower() };
}

describe("following the authority's list", () => {
  it("asks page by page until it has all, and is complete then", async () => {
    const { bed, members, follower } = await following("active", "active", "revoked", "active", "locked");
    expect(follower.complete).toBe(true);
    expect(members.map((each) => follower.find(each)?.state)).toEqual([
      "active",
      "active",
      "revoked",
      "active",
      "locked",
    ]);
    expect(bed.requests.map(({ since }) => since)).toEqual([0, 2, 4]);
    expect(bed.requests[0]).toMatchObject({ services: ["influxdb"], addresses: ["tcp://outlet:4433"] });
    expect(follower.status()).toMatchObject({ connected: true, complete: true, members: 5, revision: 5 });
  });

  it("says once that it is complete, when it has all", async () => {
    const { bed } = await following("active", "active", "active");
    bed.list("active");
    await pass(30_000);
    expect(bed.completions).toEqual([3]);
  });

  it("is incomplete until then", async () => {
    const follower = await new Bed().follower();
    expect(follower.complete).toBe(false);
    expect(follower.status()).toMatchObject({
      connected: false,
      lastFault: { code: "transport.unreachable" },
    });
  });

  it("C13 hears of a revocation within seconds, and tells it", async () => {
    const { bed, members, follower } = await following("active", "active");
    bed.changes.splice(0);
    bed.list("revoked", members[0]);
    await pass(6_000);
    expect(follower.find(members[0]!)?.state).toBe("revoked");
    expect(bed.changes).toMatchObject([{ identifier: members[0], state: "revoked" }]);
  });

  it("tells nothing of what has not changed", async () => {
    const { bed, members } = await following("active");
    bed.changes.splice(0);
    bed.list("active", members[0]);
    await pass(6_000);
    expect(bed.changes).toEqual([]);
  });

  it("asks only for what is new, on the same channel", async () => {
    const { bed } = await following("active");
    await pass(20_000);
    expect(bed.requests.length).toBeGreaterThan(3);
    expect(bed.requests.slice(1).every(({ since }) => since === 1)).toBe(true);
    expect(bed.wires.dials).toHaveLength(1);
  });

  it("stays complete while the authority is away, and goes on when it is back", async () => {
    const { bed, members, follower } = await following("active");
    await bed.away();
    await pass(20_000);
    expect(follower.status()).toMatchObject({ connected: false, complete: true });
    expect(follower.find(members[0]!)?.state).toBe("active");
    const added = bed.list("active");
    await bed.listen();
    await pass(20_000);
    expect(follower.find(added)?.state).toBe("active");
  });

  it("drops whom an authority does not know that was restored while it was away", async () => {
    const { bed, members, follower } = await following("active", "active", "active");
    await bed.away();
    bed.changes.splice(0);
    bed.lines.splice(0, 1);
    bed.list("active", members[1]);
    await bed.listen();
    await pass(20_000);
    expect(members.map((each) => follower.find(each)?.state)).toEqual([undefined, "active", "active"]);
    expect(bed.changes).toMatchObject([{ identifier: members[0], state: "revoked" }]);
    expect(follower.complete).toBe(true);
  });

  it("drops whom an authority that was restored from a backup does not know", async () => {
    const { bed, members, follower } = await following("active", "active", "active");
    bed.changes.splice(0);
    bed.restore(members[1]!);
    await pass(6_000);
    expect(members.map((each) => follower.find(each)?.state)).toEqual([undefined, "active", undefined]);
    expect(bed.changes.map(({ identifier, state }) => [identifier, state])).toEqual([
      [members[0], "revoked"],
      [members[2], "revoked"],
    ]);
  });

  it("says so when the authority does not show its list, and asks less often", async () => {
    const bed = new Bed();
    bed.reply = { kind: "fault", code: "policy.denied" };
    await bed.listen();
    const follower = await bed.follower();
    await pass(120_000);
    expect(follower.status()).toMatchObject({ complete: false, lastFault: { code: "policy.denied" } });
    expect(bed.requests.length).toBeLessThan(10);
  });

  it.each<[string, Partial<RosterReplyHead>]>([
    ["does not come to an end", { revision: 0, more: true }],
    ["names who cannot be", { members: [{ identifier: "iwrong", state: "active", attributes: {} }] }],
  ])("believes no list that %s", async (_, page) => {
    const bed = new Bed();
    bed.reply = { kind: "roster", revision: 0, more: false, members: [], ...page };
    await bed.listen();
    const follower = await bed.follower();
    expect(follower.status()).toMatchObject({ complete: false, lastFault: { code: "channel.protocol" } });
    expect(bed.requests.length).toBe(1);
  });
});

describe("T7 the revoked and the locked", () => {
  it("are remembered across a restart while the authority is away", async () => {
    const { bed, members, follower } = await following("active", "revoked", "locked");
    follower.stop();
    await bed.away();
    const next = await bed.follower();
    expect(next.complete).toBe(false);
    expect(members.map((each) => next.find(each)?.state)).toEqual([undefined, "revoked", "locked"]);
  });

  it("are saved when they change, and only then", async () => {
    const { bed, members } = await following("active", "active");
    expect(bed.store.saves).toBe(0);
    bed.list("locked", members[0]);
    await pass(30_000);
    expect(bed.store.saves).toBe(1);
    bed.list("active", members[0]);
    await pass(30_000);
    expect(bed.store.saves).toBe(2);
    expect(bed.store.text).not.toContain(members[0]);
  });

  it("are members again when the authority says so later", async () => {
    const { bed, members, follower } = await following("locked");
    follower.stop();
    bed.list("active", members[0]);
    const next = await bed.follower();
    expect(next.find(members[0]!)?.state).toBe("active");
    await pass(1_000);
    expect(bed.store.text).not.toContain(members[0]);
  });

  it.each([
    ["{"],
    ["[]"],
    ['{"version":2,"barred":[]}'],
    ['{"version":1,"barred":[{"identifier":"i","state":"revoked"}]}'],
  ])("are not forgotten in silence when the file is damaged: %s", async (text) => {
    const bed = new Bed();
    bed.store.text = text;
    expect(await codeOfPromise(bed.follower())).toBe("state.unusable");
    expect(bed.store.saves).toBe(0);
  });
});

describe("sightings", () => {
  const seen = (identifier: string) => ({
    identifier,
    remote: "192.0.2.1:999",
    software: "culvert/1",
    clockSkewMs: 7,
  });

  it("are told with the next poll, once, and how long ago they were", async () => {
    const { bed, follower, members } = await following("active");
    bed.requests.splice(0);
    follower.note(seen(members[0]!));
    await pass(12_000);
    const told = bed.requests.flatMap(({ sightings }) => sightings);
    expect(told).toMatchObject([{ identifier: members[0], remote: "192.0.2.1:999", clockSkewMs: 7 }]);
    expect(told[0]?.agoMs).toBeGreaterThan(1_000);
    expect(follower.status().queuedSightings).toBe(0);
  });

  it("of one member are one, the newest, with the evidence of those before", async () => {
    const { bed, follower, members } = await following("active");
    bed.requests.splice(0);
    follower.note({ ...seen(members[0]!), clone: "both-live" });
    follower.note({ ...seen(members[0]!), remote: "192.0.2.2:1" });
    await pass(6_000);
    expect(bed.requests.flatMap(({ sightings }) => sightings)).toMatchObject([
      { remote: "192.0.2.2:1", clone: "both-live" },
    ]);
  });

  it("go 100 at a time", async () => {
    const { bed, follower } = await following("active");
    bed.requests.splice(0);
    for (let i = 0; i < 250; i++) follower.note(seen(`i${i}`));
    await pass(6_000);
    expect(bed.requests.map(({ sightings }) => sightings.length).slice(0, 3)).toEqual([100, 100, 50]);
  });

  it("wait while the authority is away, 20,000 at most", async () => {
    const { bed, follower } = await following("active");
    await bed.away();
    for (let i = 0; i < 20_100; i++) follower.note(seen(`i${i}`));
    expect(follower.status().queuedSightings).toBe(20_000);
    await pass(3_000);
    bed.requests.splice(0);
    await bed.listen();
    await pass(15_000);
    expect(bed.requests[0]?.sightings[0]?.identifier).toBe("i100");
  });
});
