import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { identifierOf } from "../harness/culvert.ts";
import {
  type AuthorityNode,
  admin,
  enroll,
  enrolling,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { type RecordingTcp, recordTcp, type Tamper } from "../harness/recording-tcp.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";

checkLeaks();

const RANDOM_INSTANTS = 10;
/** Each of them starts the authority anew and lets devices wait for it. */
const PATIENCE_MS = 180_000;

describe("T2 an authority that is killed while a device enrolls", () => {
  it("serves the device that repeats, whichever message was the last, and nobody else by that ticket", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { authority, line } = await prepare();
    const taken: number[] = [];
    for (const direction of ["sent", "received"] as const)
      for (let nth = 1; nth <= 3; nth++) {
        const ticket = await ticketFrom(authority.node);
        const stateDir = await newStateDir();
        const device = enrolling(stateDir, ticket);
        await killAtMessage({ authority, line, direction, nth });
        await device.kill();
        await authority.node.start();
        taken.push(await expectOneMember(authority, ticket, stateDir));
      }
    // Both have come up: a ticket that nobody had used yet, and an answer that was lost.
    expect(taken).toContain(0);
    expect(taken).toContain(1);
    await authority.node.stop();
    await line.stop();
  });

  it("makes one member of two that race for one ticket, at any instant", {
    timeout: PATIENCE_MS,
  }, async () => {
    const { authority, line } = await prepare();
    for (let round = 0; round < RANDOM_INSTANTS; round++) {
      const ticket = await ticketFrom(authority.node);
      const stateDirs = [await newStateDir(), await newStateDir()];
      const devices = stateDirs.map((stateDir) => enrolling(stateDir, ticket));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
      await authority.node.kill();
      await authority.node.start();
      // They repeat of themselves.
      const codes = (await Promise.all(devices.map(({ exited }) => exited))).map(({ code }) => code);
      expect(codes.toSorted()).toEqual([0, 1]);
      expect(devices[codes.indexOf(1)]!.stderr).toContain("(ticket.used)");

      const { identifier } = JSON.parse(devices[codes.indexOf(0)]!.stdout);
      expect(await listed(authority, ticket)).toMatchObject({ used: 1, usedBy: [identifier] });
      expect(await membersOf(authority, stateDirs)).toEqual([identifier]);
    }
    await authority.node.stop();
    await line.stop();
  });
});

interface Scene {
  readonly authority: AuthorityNode;
  /** All that devices say to it goes over this. */
  readonly line: RecordingTcp;
}

async function prepare(): Promise<Scene> {
  const channelPort = await freePort();
  const line = await recordTcp(channelPort);
  const advertise = [`tcp://127.0.0.1:${line.port}`];
  return { line, authority: await startAuthority({ channelPort, advertise }) };
}

/** The message is lost, and the authority with it. */
async function killAtMessage(
  options: Scene & { readonly direction: "sent" | "received"; readonly nth: number },
): Promise<void> {
  const { authority, line, direction, nth } = options;
  let seen = 0;
  await new Promise<void>((resolve) => {
    const tamper: Tamper = (chunk, towards) => {
      if (seen >= nth) return [];
      if (towards !== direction || ++seen < nth) return [chunk];
      resolve();
      return [];
    };
    line.tamper = tamper;
  });
  await authority.node.kill();
  line.tamper = undefined;
}

/**
 * Another device comes first, then the one that had no answer.
 * @returns how often the ticket had been used when the authority died.
 */
async function expectOneMember(authority: AuthorityNode, ticket: string, stateDir: string): Promise<number> {
  const { used, usedBy } = await listed(authority, ticket);
  const other = await newStateDir();
  const identifier = await identifierOf(stateDir);
  if (used === 1) expect(usedBy).toEqual([identifier]);
  await rm(join(stateDir, "enrollment.json"), { force: true });

  const others = await enroll(other, ticket);
  const own = await enroll(stateDir, ticket);
  expect([others.exit.code, own.exit.code]).toEqual(used === 1 ? [1, 0] : [0, 1]);
  expect(used === 1 ? others.stderr : own.stderr).toContain("(ticket.used)");
  expect(await membersOf(authority, [stateDir, other])).toEqual([
    used === 1 ? identifier : await identifierOf(other),
  ]);
  expect(await listed(authority, ticket)).toMatchObject({ state: "used", used: 1 });
  return used;
}

interface Listed {
  readonly ticketId: string;
  readonly used: number;
  readonly usedBy: readonly string[];
}

async function listed(authority: AuthorityNode, ticket: string): Promise<Listed> {
  const { pass } = decoded(ticket.split(".")[1]!);
  const { jti } = decoded((pass as string).split(".")[1]!);
  const tickets = (await admin(authority.node, "ticket", "list")) as Listed[];
  return tickets.find(({ ticketId }) => ticketId === jti)!;
}

function decoded(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
}

async function membersOf(authority: AuthorityNode, stateDirs: readonly string[]): Promise<string[]> {
  const identifiers = await Promise.all(stateDirs.map(identifierOf));
  const members = (await admin(authority.node, "member", "list")) as { identifier: string }[];
  return members.map(({ identifier }) => identifier).filter((identifier) => identifiers.includes(identifier));
}
