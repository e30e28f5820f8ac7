import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault, type FaultCode } from "../../../src/base/fault.ts";
import { Secret } from "../../../src/base/secret.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { readCredential } from "../../../src/identity/credential.ts";
import type { CredentialSource, Grant } from "../../../src/membership/authority-client.ts";
import type { Enrollment, EnrollmentStore } from "../../../src/membership/enrollment.ts";
import { EnrollmentKeeper } from "../../../src/membership/enrollment-keeper.ts";
import { Trust } from "../../../src/membership/trust.ts";
import { MemoryLog } from "../../harness/channel-nodes.ts";
import {
  type CredentialOptions,
  codeOfPromise,
  DAY_MS,
  NOW_MS,
  newIdentity,
  Signer,
} from "./authority-bed.ts";

const keepers: EnrollmentKeeper[] = [];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
    now: NOW_MS,
  });
});

afterEach(() => {
  for (const keeper of keepers.splice(0)) keeper.stop();
  vi.useRealTimers();
});

const HOUR_MS = 3_600_000;

class MemoryStore implements EnrollmentStore {
  record: Enrollment | undefined;
  saves = 0;
  fault: Fault | undefined;

  load(): Promise<Enrollment | undefined> {
    return this.fault ? Promise.reject(this.fault) : Promise.resolve(this.record);
  }

  save(record: Enrollment): Promise<void> {
    if (this.fault) return Promise.reject(this.fault);
    this.saves++;
    this.record = record;
    return Promise.resolve();
  }
}

class Bed {
  readonly signer = new Signer();
  readonly device = newIdentity();
  readonly store = new MemoryStore();
  readonly log = new MemoryLog();
  readonly trust = new Trust({ provider: nodeProvider, clock: systemClock });
  readonly asked: { what: "enroll" | "renew"; atMs: number }[] = [];
  /** What the authority says; the newest last. */
  refusal: FaultCode | undefined;
  renewalRefusal: FaultCode | undefined;
  retryAfterMs: number | undefined;
  outletAddresses = ["tcp://outlet:4433"];
  jitter = 0;
  ticketText: string | undefined;

  keeper(): EnrollmentKeeper {
    const source: CredentialSource = {
      enroll: () => this.#answer("enroll", this.refusal),
      renew: () => this.#answer("renew", this.renewalRefusal ?? this.refusal),
    };
    const keeper = new EnrollmentKeeper({
      source,
      store: this.store,
      ticket: this.ticketText === undefined ? undefined : new Secret(this.ticketText),
      trust: this.trust,
      provider: nodeProvider,
      clock: systemClock,
      log: this.log,
      random: () => this.jitter,
    });
    keepers.push(keeper);
    return keeper;
  }

  async started(): Promise<EnrollmentKeeper> {
    const keeper = this.keeper();
    await keeper.start();
    await pass(0);
    return keeper;
  }

  grant(options: CredentialOptions = {}): Grant {
    const text = this.signer.credentialFor(this.device.identifier, { issuedAtMs: trueNowMs(), ...options });
    const authorityKey = this.signer.key.publicKey;
    return {
      text,
      credential: readCredential({ provider: nodeProvider, text, authorityKey }),
      expiresInMs: DAY_MS,
      renewInMs: DAY_MS / 2,
      authorityAddresses: ["tcp://authority:4433"],
      outletAddresses: this.outletAddresses,
      clockSkewMs: 1_234.5,
    };
  }

  record(options: CredentialOptions = {}, ticketId = "t0"): Enrollment {
    const { text: credential, authorityAddresses, outletAddresses } = this.grant(options);
    const authorityKey = this.signer.key.publicKey;
    return { authorityKey, authorityAddresses, outletAddresses, service: "influxdb", credential, ticketId };
  }

  #answer(what: "enroll" | "renew", refusal: FaultCode | undefined): Promise<Grant> {
    this.asked.push({ what, atMs: performance.now() });
    if (refusal === undefined) return Promise.resolve(this.grant());
    const wait = this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs };
    return Promise.reject(new Fault(refusal, "as the test says", wait));
  }
}

let trueTime = { monotonicMs: 0, wallMs: NOW_MS };

/** The authority's clock, which is right whatever the device's says. */
function trueNowMs(): number {
  return trueTime.wallMs + performance.now() - trueTime.monotonicMs;
}

beforeEach(() => {
  trueTime = { monotonicMs: performance.now(), wallMs: NOW_MS };
});

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number, stepMs = 500): Promise<void> {
  await turns();
  vi.advanceTimersByTime(1);
  await turns();
  for (let left = ms; left > 0; left -= stepMs) {
    vi.advanceTimersByTime(Math.min(left, stepMs));
    await turns();
  }
}

function withTicket(): Bed {
  const bed = new Bed();
  bed.ticketText = bed.signer.ticketText();
  return bed;
}

async function member(options: CredentialOptions = {}): Promise<{ bed: Bed; keeper: EnrollmentKeeper }> {
  const bed = new Bed();
  // What is due at a start is due half way through its jitter.
  bed.jitter = 0.5;
  bed.store.record = bed.record(options);
  return { bed, keeper: await bed.started() };
}

describe("enrolling", () => {
  it("turns a ticket into a record, and is a member then", async () => {
    const bed = withTicket();
    const keeper = await bed.started();
    expect(bed.store.record).toMatchObject({
      authorityKey: bed.signer.key.publicKey,
      service: "influxdb",
      credential: keeper.credential(),
      outletAddresses: ["tcp://outlet:4433"],
    });
    expect(keeper.outletAddresses()).toEqual(["tcp://outlet:4433"]);
    expect(keeper.status()).toMatchObject({
      state: "member",
      authority: bed.signer.key.identifier,
      service: "influxdb",
      attempts: 1,
      clockSkewMs: 1_235,
    });
    expect(bed.trust.anchor).toEqual(bed.signer.key.publicKey);
  });

  it("has the record on disk before anybody sees the credential", async () => {
    const bed = withTicket();
    const keeper = bed.keeper();
    const saves: number[] = [];
    keeper.onChange(() => saves.push(bed.store.saves));
    await keeper.start();
    await pass(0);
    expect(saves).toEqual([1]);
  });

  it("uses nothing that could not be saved, and tries again", async () => {
    const bed = withTicket();
    const keeper = bed.keeper();
    bed.store.save = () => Promise.reject(new Fault("state.unusable", "the disk is full"));
    await keeper.start();
    await pass(0);
    expect(keeper.credential()).toBeUndefined();
    expect(keeper.status()).toMatchObject({ state: "enrolling", lastFault: { code: "state.unusable" } });
    Reflect.deleteProperty(bed.store, "save");
    await pass(10_000);
    expect(keeper.status().state).toBe("member");
  });

  it("goes on for ever while the authority is away, in steps of 1 s to 30 s", async () => {
    const bed = withTicket();
    bed.refusal = "authority.unavailable";
    bed.jitter = 0.999_999;
    const keeper = await bed.started();
    await pass(300_000);
    const gaps = bed.asked.slice(1).map(({ atMs }, i) => Math.round((atMs - bed.asked[i]!.atMs) / 1_000));
    expect(gaps.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
    expect(keeper.status()).toMatchObject({
      state: "enrolling",
      lastFault: { code: "authority.unavailable" },
    });
    bed.refusal = undefined;
    await pass(31_000);
    expect(keeper.status()).toMatchObject({ state: "member" });
    expect(keeper.status().lastFault).toBeUndefined();
  });

  it.each<FaultCode>(["ticket.used", "ticket.expired", "member.revoked", "handshake.unauthorized"])(
    "says that it was refused, and asks on in steps of 5 s to 5 min: %s",
    async (code) => {
      const bed = withTicket();
      bed.refusal = code;
      bed.jitter = 0.999_999;
      const keeper = await bed.started();
      await pass(20 * 60_000, 1_000);
      const gaps = bed.asked.slice(1).map(({ atMs }, i) => Math.round((atMs - bed.asked[i]!.atMs) / 5_000));
      expect(gaps.slice(0, 7)).toEqual([1, 2, 4, 8, 16, 32, 60]);
      expect(keeper.status()).toMatchObject({ state: "refused", lastFault: { code } });
    },
  );

  it("stays away for as long as the authority asks", async () => {
    const bed = withTicket();
    bed.refusal = "authority.limit";
    bed.retryAfterMs = 20_000;
    await bed.started();
    await pass(19_000);
    expect(bed.asked).toHaveLength(1);
    await pass(1_500);
    expect(bed.asked).toHaveLength(2);
  });

  it("asks again soon while the authority knows no outlet", async () => {
    const bed = withTicket();
    bed.outletAddresses = [];
    const keeper = await bed.started();
    expect(keeper.outletAddresses()).toEqual([]);
    bed.outletAddresses = ["tcp://outlet:4433"];
    await pass(30_000);
    expect(keeper.outletAddresses()).toEqual(["tcp://outlet:4433"]);
  });

  it("asks less and less often while the authority goes on knowing none", async () => {
    const bed = withTicket();
    bed.outletAddresses = [];
    await bed.started();
    await pass(24 * 60_000);
    const asked = bed.asked.length;
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(9);
    bed.outletAddresses = ["tcp://outlet:4433"];
    await pass(601_000);
    expect(bed.asked.length).toBe(asked + 1);
  });

  it("dials nothing with a mistyped ticket, and says so", async () => {
    const bed = withTicket();
    bed.ticketText = bed.ticketText?.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    const keeper = await bed.started();
    await pass(60_000);
    expect(bed.asked).toEqual([]);
    expect(keeper.status()).toMatchObject({ state: "refused", lastFault: { code: "ticket.malformed" } });
  });

  it.each([
    ["1970", 0],
    ["2099", Date.UTC(2099, 0, 1)],
  ])("T6 works with a clock at %s, now and at the next start", async (_, wallMs) => {
    const bed = withTicket();
    vi.setSystemTime(wallMs);
    const keeper = await bed.started();
    expect(keeper.status()).toMatchObject({
      state: "member",
      credentialExpiresInMs: expect.closeTo(DAY_MS, -3),
    });
    keeper.stop();
    const next = await bed.started();
    expect(next.status().state).toBe("member");
    expect(next.credential()).toBe(bed.store.record?.credential);
    await pass(31_000);
    expect(bed.asked.at(-1)?.what).toBe("renew");
    expect(next.status().state).toBe("member");
  });
});

describe("without ticket and record", () => {
  it("says what is missing", async () => {
    const bed = new Bed();
    const keeper = await bed.started();
    expect(keeper.status()).toMatchObject({ state: "none", lastFault: { code: "enrollment.missing" } });
    expect(bed.log.of("enrollment.missing")).toHaveLength(1);
  });

  it("is a member within 2 s of an enrolling beside it", async () => {
    const bed = new Bed();
    const keeper = await bed.started();
    let changes = 0;
    keeper.onChange(() => changes++);
    bed.store.record = bed.record();
    await pass(2_000);
    expect(keeper.status().state).toBe("member");
    expect(keeper.credential()).toBe(bed.store.record.credential);
    expect(changes).toBe(1);
  });

  it("is so too while it waits with a ticket that was refused", async () => {
    const bed = withTicket();
    bed.refusal = "ticket.used";
    const keeper = await bed.started();
    await pass(60_000);
    bed.store.record = bed.record();
    await pass(2_000);
    expect(keeper.status().state).toBe("member");
  });
});

describe("a record", () => {
  it("is used at once at a start, with nothing asked", async () => {
    const { bed, keeper } = await member();
    expect(keeper.status().state).toBe("member");
    expect(bed.trust.anchor).toEqual(bed.signer.key.publicKey);
    expect(bed.trust.trueTimeLowerBoundMs()).toBeGreaterThanOrEqual(NOW_MS);
    expect(bed.asked).toEqual([]);
  });

  it("that cannot be used stops the start, and nothing is enrolled over it", async () => {
    const bed = withTicket();
    bed.store.fault = new Fault("state.unusable", "damaged");
    expect(await codeOfPromise(bed.keeper().start())).toBe("state.unusable");
    await pass(10_000);
    expect(bed.asked).toEqual([]);
  });

  it("of another authority than the ticket's wins, with a hint", async () => {
    const bed = new Bed();
    bed.ticketText = new Signer().ticketText();
    bed.store.record = bed.record();
    const keeper = await bed.started();
    expect(keeper.status().authority).toBe(bed.signer.key.identifier);
    expect(bed.log.of("enrollment.ticket-ignored")).toHaveLength(1);
    expect(bed.asked).toEqual([]);
  });
});

describe("renewing", () => {
  it("happens when the authority said, up to a tenth early", async () => {
    for (const [jitter, dueMs] of [
      [0, 12 * HOUR_MS],
      [0.999_999, 10.8 * HOUR_MS],
    ] as const) {
      const bed = withTicket();
      bed.jitter = jitter;
      const keeper = await bed.started();
      const first = keeper.credential();
      await pass(dueMs - 60_000, 30_000);
      expect(bed.asked).toHaveLength(1);
      await pass(61_000, 1_000);
      expect(bed.asked).toHaveLength(2);
      expect(keeper.credential()).not.toBe(first);
      expect(bed.store.record?.credential).toBe(keeper.credential());
      keeper.stop();
    }
  });

  it("happens between half and two thirds of the life after a restart, counted from its beginning", async () => {
    for (const [jitter, dueMs] of [
      [0, 2 * HOUR_MS],
      [0.999_999, 2 * HOUR_MS + 0.16 * DAY_MS],
    ] as const) {
      const bed = new Bed();
      bed.jitter = jitter;
      bed.store.record = bed.record({ issuedAtMs: trueNowMs() - 10 * HOUR_MS });
      const keeper = await bed.started();
      await pass(dueMs - 60_000, 30_000);
      expect(bed.asked).toEqual([]);
      await pass(62_000, 1_000);
      expect(bed.asked).toHaveLength(1);
      keeper.stop();
    }
  });

  it("happens within 5 s of a start with a credential that is over", async () => {
    const bed = new Bed();
    bed.jitter = 0.999_999;
    bed.store.record = bed.record({ issuedAtMs: trueNowMs() - 3 * DAY_MS });
    const keeper = await bed.started();
    await pass(5_500);
    expect(bed.asked.map(({ what }) => what)).toEqual(["renew"]);
    expect(keeper.status().credentialExpiresInMs).toBeGreaterThan(DAY_MS - 10_000);
  });

  it("goes on while the authority is away, with the credential that is there", async () => {
    const { bed, keeper } = await member({ issuedAtMs: NOW_MS - 20 * HOUR_MS });
    bed.refusal = "authority.unavailable";
    await pass(120_000);
    expect(bed.asked.length).toBeGreaterThan(4);
    expect(keeper.status()).toMatchObject({ state: "member", lastFault: { code: "authority.unavailable" } });
    expect(keeper.status().nextTryMs).toBeLessThanOrEqual(30_000);
    expect(keeper.credential()).toBeDefined();
  });

  it("T7 that is refused is shown as such, and asked for again", async () => {
    const { bed, keeper } = await member({ issuedAtMs: NOW_MS - 20 * HOUR_MS });
    bed.refusal = "member.revoked";
    await pass(10_000);
    expect(keeper.status()).toMatchObject({ state: "refused", lastFault: { code: "member.revoked" } });
    bed.refusal = undefined;
    await pass(300_000, 1_000);
    expect(keeper.status().state).toBe("member");
  });

  it("that cannot be saved leaves the old credential in use", async () => {
    const { bed, keeper } = await member({ issuedAtMs: NOW_MS - 20 * HOUR_MS });
    const before = keeper.credential();
    bed.store.save = () => Promise.reject(new Fault("state.unusable", "the disk is full"));
    await pass(20_000);
    expect(bed.asked.length).toBeGreaterThan(0);
    expect(keeper.credential()).toBe(before);
    expect(keeper.status()).toMatchObject({ state: "member", lastFault: { code: "state.unusable" } });
  });

  it("goes on while the record cannot be read", async () => {
    const { bed, keeper } = await member({ issuedAtMs: NOW_MS - 20 * HOUR_MS });
    bed.store.load = () => Promise.reject(new Fault("state.unusable", "an I/O error"));
    const before = keeper.credential();
    await pass(10_000);
    expect(keeper.credential()).not.toBe(before);
  });

  it("is not undone by an older record on disk", async () => {
    const { bed, keeper } = await member({ issuedAtMs: NOW_MS - 20 * HOUR_MS });
    const before = keeper.credential();
    bed.refusal = "member.locked";
    bed.store.record = bed.record({ issuedAtMs: NOW_MS - 22 * HOUR_MS });
    await pass(30_000);
    expect(keeper.credential()).toBe(before);
  });

  it("keeps the addresses that it knows when it is told none that it can dial", async () => {
    const { bed, keeper } = await member({ issuedAtMs: NOW_MS - 20 * HOUR_MS });
    bed.outletAddresses = ["quic://elsewhere.example.com"];
    await pass(10_000);
    expect(bed.asked).toHaveLength(1);
    expect(keeper.outletAddresses()).toEqual(["tcp://outlet:4433"]);
  });

  it("of one whom the authority has forgotten falls back on a new ticket", async () => {
    const bed = withTicket();
    bed.store.record = bed.record({ issuedAtMs: NOW_MS - 20 * HOUR_MS }, "an older ticket");
    bed.renewalRefusal = "member.unknown";
    const keeper = await bed.started();
    await pass(10_000);
    expect(bed.asked.map(({ what }) => what)).toEqual(["renew", "enroll"]);
    expect(keeper.status().state).toBe("member");
  });
});

describe("when an outlet refuses the credential", () => {
  it("a new one is asked for within 5 s", async () => {
    const { bed, keeper } = await member();
    bed.jitter = 0.999_999;
    keeper.noteRefused();
    await pass(5_500);
    expect(bed.asked.map(({ what }) => what)).toEqual(["renew"]);
  });

  it("that is done once a minute at most", async () => {
    const { bed, keeper } = await member();
    for (let i = 0; i < 59; i++) {
      keeper.noteRefused();
      await pass(1_000);
    }
    expect(bed.asked).toHaveLength(1);
    await pass(5_000);
    keeper.noteRefused();
    await pass(5_000);
    expect(bed.asked).toHaveLength(2);
  });

  it("that does not hurry what is failing already", async () => {
    const { bed, keeper } = await member();
    bed.refusal = "member.revoked";
    for (let i = 0; i < 60; i++) {
      keeper.noteRefused();
      await pass(1_000);
    }
    expect(bed.asked.length).toBeLessThan(8);
  });
});

describe("when no outlet can be reached", () => {
  it("the authority is asked whether it has moved, once in five minutes at most", async () => {
    const { bed, keeper } = await member();
    for (let seconds = 0; seconds < 600; seconds++) {
      keeper.noteUnreachable();
      await pass(1_000);
    }
    expect(bed.asked.map(({ what }) => what)).toEqual(["renew", "renew"]);
  });

  it("the authority is asked again soon where the old outlet is gone and no new one has come yet", async () => {
    const { bed, keeper } = await member();
    const [known] = keeper.outletAddresses();
    bed.outletAddresses = [];
    keeper.noteUnreachable();
    await pass(30_000);
    expect(bed.asked).toHaveLength(1);
    // It may be the authority that has forgotten.
    expect(keeper.outletAddresses()).toEqual([known]);
    bed.outletAddresses = ["tcp://moved:4433"];
    for (let seconds = 0; seconds < 30; seconds++) {
      keeper.noteUnreachable();
      await pass(1_000);
    }
    expect(keeper.outletAddresses()).toEqual(["tcp://moved:4433"]);
    expect(bed.asked).toHaveLength(2);
  });

  it("it is not asked where it is no other node than the outlet", async () => {
    const { bed, keeper } = await member();
    bed.outletAddresses = bed.record().authorityAddresses.slice();
    bed.store.record = bed.record();
    const here = await bed.started();
    for (let seconds = 0; seconds < 100; seconds++) {
      here.noteUnreachable();
      await pass(1_000);
    }
    expect(bed.asked).toEqual([]);
    keeper.stop();
  });
});

describe("enrolling for a person who waits", () => {
  it("gives the record", async () => {
    const bed = withTicket();
    expect(await bed.keeper().enrollNow()).toBe(bed.store.record);
  });

  it("does nothing the second time", async () => {
    const bed = withTicket();
    const first = await bed.keeper().enrollNow();
    expect(await bed.keeper().enrollNow()).toEqual(first);
    expect(bed.asked).toHaveLength(1);
  });

  it("tries again while the authority is away", async () => {
    const bed = withTicket();
    bed.refusal = "authority.unavailable";
    const enrolling = bed.keeper().enrollNow();
    await pass(10_000);
    bed.refusal = undefined;
    await pass(10_000);
    expect(await enrolling).toBe(bed.store.record);
  });

  it("ends with the last fault when the time is over", async () => {
    const bed = withTicket();
    bed.refusal = "authority.unavailable";
    const code = codeOfPromise(bed.keeper().enrollNow(30_000));
    await pass(30_000);
    expect(await code).toBe("authority.unavailable");
  });

  it("T3 ends at once with what a person has to put right", async () => {
    const bed = withTicket();
    bed.refusal = "ticket.expired";
    expect(await codeOfPromise(bed.keeper().enrollNow())).toBe("ticket.expired");
    expect(bed.asked).toHaveLength(1);
  });

  it("T3 refuses a ticket of another authority at a member, and changes nothing", async () => {
    const bed = new Bed();
    bed.ticketText = new Signer().ticketText();
    const record = bed.record();
    bed.store.record = record;
    expect(await codeOfPromise(bed.keeper().enrollNow())).toBe("ticket.foreign");
    expect(bed.store.record).toBe(record);
    expect(bed.asked).toEqual([]);
  });

  it("says that there is no ticket", async () => {
    expect(await codeOfPromise(new Bed().keeper().enrollNow())).toBe("enrollment.missing");
  });
});
