import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault, type FaultCode } from "../../../src/base/fault.ts";
import { defaultLimits } from "../../../src/channel/limits.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { readPass, verifyTicketProof } from "../../../src/identity/ticket.ts";
import { AuthorityClient } from "../../../src/membership/authority-client.ts";
import type { Acceptor } from "../../../src/transport/acceptor.ts";
import { directConnector } from "../../../src/transport/connector.ts";
import { Ticker } from "../../../src/transport/ticker.ts";
import { refusing } from "../../harness/channel-nodes.ts";
import { MemoryWires } from "../../harness/memory-wires.ts";
import {
  type Answer,
  anAuthorityEnd,
  aParty,
  credentialReply,
  type EndOptions,
  newIdentity,
  PORT,
  Signer,
} from "./authority-bed.ts";

const acceptors: Acceptor[] = [];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"],
  });
});

afterEach(async () => {
  for (const acceptor of acceptors.splice(0)) acceptor.close("normal");
  await turns();
  vi.useRealTimers();
});

async function turns(): Promise<void> {
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  await turns();
  for (let left = ms; left > 0; left -= 1_000) {
    vi.advanceTimersByTime(Math.min(left, 1_000));
    await turns();
  }
}

class Bed {
  readonly wires = new MemoryWires();
  readonly signer = new Signer();
  readonly device = newIdentity();
  readonly party = aParty(this.device, () => ({ credential: "the node's own" }));
  readonly trust = this.signer.trust(systemClock);
  readonly client = new AuthorityClient({
    connector: directConnector(this.wires),
    ticker: new Ticker(),
    party: this.party,
    limits: defaultLimits,
    suite: "AESGCM",
    trust: this.trust,
    clock: systemClock,
  });

  async listen(answer: Answer, options: Partial<EndOptions> = {}) {
    const end = await anAuthorityEnd({ wires: this.wires, signer: this.signer, answer, ...options });
    acceptors.push(end.acceptor);
    return end;
  }

  granting(): Answer {
    return () => credentialReply(this.signer, this.device.identifier);
  }

  renew(credential?: string) {
    const addresses = [`tcp://127.0.0.1:${PORT}`];
    return this.client.renew({ authorityKey: this.signer.key.publicKey, addresses, credential });
  }
}

/** What becomes of it once nothing is under way any more, or so much time has passed. */
async function outcome<T>(promise: Promise<T>, ms = 0): Promise<T | Fault> {
  let result: T | Fault | undefined;
  promise.then(
    (value) => {
      result = value;
    },
    (thrown) => {
      result = Fault.from(thrown);
    },
  );
  await pass(ms);
  if (result === undefined) throw new Error("still under way");
  return result;
}

function codeOf(result: unknown): FaultCode | undefined {
  return result instanceof Fault ? result.code : undefined;
}

describe("enrolling", () => {
  it("gives a credential for this node, and where things are", async () => {
    const bed = new Bed();
    await bed.listen(bed.granting());
    expect(await outcome(bed.client.enroll(bed.signer.ticket()))).toMatchObject({
      credential: { subject: bed.device.identifier, authority: bed.signer.key.identifier },
      outletAddresses: ["tcp://127.0.0.1:5544"],
    });
  });

  it("proves the ticket's key on this channel, and shows the pass at the door in place of a credential", async () => {
    const bed = new Bed();
    const end = await bed.listen(bed.granting());
    const ticket = bed.signer.ticket();
    await outcome(bed.client.enroll(ticket));
    const { head, peer } = end.requests[0]!;
    expect(peer).toMatchObject({ identifier: bed.device.identifier, pass: ticket.pass });
    expect(peer.credential).toBeUndefined();
    const { channelBinding, identifier } = peer;
    const passOfTicket = readPass({
      provider: nodeProvider,
      text: ticket.pass,
      authorityKey: ticket.authorityKey,
    });
    const proof = head.kind === "enroll" ? head.proof : "";
    const options = { provider: nodeProvider, channelBinding, identifier, pass: passOfTicket, proof };
    expect(verifyTicketProof(options)).toBe(true);
    expect(verifyTicketProof({ ...options, channelBinding: channelBinding.map((byte) => byte ^ 1) })).toBe(
      false,
    );
  });

  it("goes under the instance of the node's own channels: no copy of the device", async () => {
    const bed = new Bed();
    const end = await bed.listen(bed.granting());
    await outcome(bed.client.enroll(bed.signer.ticket()));
    const instance = Buffer.from(bed.party.instance).toString("hex");
    expect(end.requests[0]?.peer.instance).toBe(instance);
  });

  it("leaves no channel behind", async () => {
    const bed = new Bed();
    await bed.listen(bed.granting());
    await outcome(bed.client.enroll(bed.signer.ticket()));
    await pass(3_000);
    expect(bed.wires.open).toEqual([]);
  });

  it.each<FaultCode>(["ticket.used", "ticket.revoked", "member.revoked", "authority.limit"])(
    "ends with the authority's own code: %s",
    async (code) => {
      const bed = new Bed();
      await bed.listen(() => ({ kind: "fault", code, retryAfterMs: 7_000 }));
      const result = await outcome(bed.client.enroll(bed.signer.ticket()));
      expect(result).toMatchObject({ code, retryAfterMs: 7_000 });
    },
  );

  it("ends clearly when the authority does not let us in at all", async () => {
    const bed = new Bed();
    await bed.listen(bed.granting(), { authorize: refusing });
    expect(codeOf(await outcome(bed.client.enroll(bed.signer.ticket())))).toBe("handshake.unauthorized");
  });

  it.each([
    ["1970", 0],
    ["2099", Date.UTC(2099, 0, 1)],
  ])("T6 works with a clock at %s, and says how far off it is", async (_, wallMs) => {
    const bed = new Bed();
    await bed.listen(bed.granting());
    vi.setSystemTime(wallMs);
    const result = await outcome(bed.client.enroll(bed.signer.ticket()));
    expect(result).toMatchObject({ credential: { subject: bed.device.identifier } });
  });
});

describe("renewing", () => {
  it("shows the credential at the door and asks", async () => {
    const bed = new Bed();
    const end = await bed.listen(bed.granting());
    const text = bed.signer.credentialFor(bed.device.identifier);
    expect(codeOf(await outcome(bed.renew(text)))).toBeUndefined();
    expect(end.requests[0]).toMatchObject({ head: { kind: "renew" }, peer: { credential: text } });
  });

  it("works with nothing to show: the identity is what counts", async () => {
    const bed = new Bed();
    const end = await bed.listen(bed.granting());
    expect(codeOf(await outcome(bed.renew()))).toBeUndefined();
    expect(end.requests[0]?.peer.credential).toBeUndefined();
  });
});

describe("an authority that is not ours", () => {
  it.each<[string, (bed: Bed) => EndOptions["credential"]]>([
    ["shows no credential", () => () => undefined],
    [
      "shows that of another authority",
      () =>
        ({ identifier }) =>
          new Signer().credentialFor(identifier, { attributes: { "culvert-authority": "true" } }),
    ],
    [
      "shows that of another node",
      (bed) => () =>
        bed.signer.credentialFor(newIdentity().identifier, { attributes: { "culvert-authority": "true" } }),
    ],
    [
      "is a member like others",
      (bed) =>
        ({ identifier }) =>
          bed.signer.credentialFor(identifier),
    ],
  ])("because it %s gets neither pass nor question", async (_, credentialOf) => {
    const bed = new Bed();
    const seen: unknown[] = [];
    const end = await bed.listen(bed.granting(), {
      credential: credentialOf(bed)!,
      authorize: (peer) => void seen.push(peer),
    });
    expect(codeOf(await outcome(bed.client.enroll(bed.signer.ticket())))).toBe("authority.unavailable");
    expect(end.requests).toEqual([]);
    expect(seen).toEqual([]);
  });

  it("T5 answers with a credential of another authority or node: refused", async () => {
    for (const forge of [
      (bed: Bed) => credentialReply(new Signer(), bed.device.identifier),
      (bed: Bed) => credentialReply(bed.signer, newIdentity().identifier),
    ]) {
      const bed = new Bed();
      await bed.listen(() => forge(bed));
      expect(codeOf(await outcome(bed.renew()))).toBe("credential.untrusted");
      acceptors.pop()?.close("normal");
    }
  });
});

describe("an authority that cannot be had", () => {
  it("is unavailable when nobody listens, with the cause", async () => {
    const result = await outcome(new Bed().renew());
    expect(result).toMatchObject({ code: "authority.unavailable", cause: { code: "transport.unreachable" } });
  });

  it("is unavailable when it has no address that can be dialled", async () => {
    const bed = new Bed();
    const addresses = ["quic://authority.example.com", "tcp://[::zz]:1", "tcp://host:0", "tcp://host:70000"];
    const result = await outcome(
      bed.client.renew({ authorityKey: bed.signer.key.publicKey, addresses, credential: undefined }),
    );
    expect(codeOf(result)).toBe("authority.unavailable");
    expect(bed.wires.dials).toEqual([]);
  });

  it("is given up after 20 s of silence, and no channel is left", async () => {
    const bed = new Bed();
    await bed.listen(() => "silence");
    const renewing = bed.renew();
    const result = await outcome(renewing, 20_000);
    expect(codeOf(result)).toBe("authority.unavailable");
    await pass(3_000);
    expect(bed.wires.open).toEqual([]);
  });

  it("is sought at its other addresses, within the same 20 s", async () => {
    const bed = new Bed();
    await bed.listen(bed.granting(), { port: 3 });
    bed.wires.blackHoles.add(1);
    const ticket = bed.signer.ticket({
      addresses: ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3"],
    });
    const result = await outcome(bed.client.enroll(ticket), 10_000);
    expect(codeOf(result)).toBeUndefined();
    expect(bed.wires.dials.map(({ port }) => port)).toEqual([1, 2, 3]);
  });

  it("is unavailable when it resets the question or fails", async () => {
    for (const answer of [() => "reset", () => ({ kind: "fault", code: "internal.bug" })] as Answer[]) {
      const bed = new Bed();
      await bed.listen(answer);
      expect(codeOf(await outcome(bed.renew()))).toBe("authority.unavailable");
      acceptors.pop()?.close("normal");
    }
  });
});
