import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { eventually } from "../harness/eventually.ts";
import {
  type AuthorityNode,
  admin,
  enroll,
  enrolling,
  newStateDir,
  startAuthority,
  ticketFrom,
} from "../harness/members.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

const DEVICES = 50;
/** Fifty processes on the machine's two cores. */
const PATIENCE_MS = 120_000;

describe(`T1 one ticket and ${DEVICES} devices at once`, () => {
  for (const uses of [1, 5]) {
    it(`makes members of exactly ${uses}`, { timeout: PATIENCE_MS }, async () => {
      const authority = await startAuthority();
      const ticket = await ticketFrom(authority.node, { uses });
      const stateDirs = await Promise.all(Array.from({ length: DEVICES }, newStateDir));
      // It answers nobody until all of them wait at its door.
      await authority.node.process.pause();
      const devices = stateDirs.map((stateDir) => enrolling(stateDir, ticket));
      await eventually(`${DEVICES} connections`, async () => (await connections(authority)) >= DEVICES, {
        deadlineMs: 60_000,
      });
      authority.node.process.resume();
      const exits = await Promise.all(devices.map(({ exited }) => exited));

      const winners = devices.filter((_, index) => exits[index]!.code === 0);
      const losers = devices.filter((_, index) => exits[index]!.code === 1);
      expect(losers).toHaveLength(DEVICES - uses);
      for (const { stderr } of losers) {
        expect(stderr).toMatch(/^culvert-inlet: .*\(ticket\.used\): .*get a new one/);
        expect(stderr.trim().split("\n")).toHaveLength(1);
      }
      const identifiers = winners.map(({ stdout }) => JSON.parse(stdout).identifier as string).sort();
      expect(identifiers).toHaveLength(uses);
      const members = (await admin(authority.node, "member", "list")) as { identifier: string }[];
      expect(members.map(({ identifier }) => identifier).sort()).toEqual(identifiers);
      const [listed] = await admin(authority.node, "ticket", "list");
      expect(listed).toMatchObject({ state: "used", uses, used: uses, refused: DEVICES - uses });
      expect([...listed.usedBy].sort()).toEqual(identifiers);

      await expectTheSameAgain({ authority, ticket, stateDirs, winner: devices.indexOf(winners[0]!) });
      await authority.node.stop();
    });
  }
});

/** Who has won may come again, who has lost has lost; the counts say so after a restart, too. */
async function expectTheSameAgain(options: {
  authority: AuthorityNode;
  ticket: string;
  stateDirs: readonly string[];
  winner: number;
}): Promise<void> {
  const { authority, ticket, stateDirs, winner } = options;
  const before = await admin(authority.node, "ticket", "list");
  await authority.node.stop();
  await authority.node.start();
  expect(await admin(authority.node, "ticket", "list")).toEqual(before);
  expect((await enroll(stateDirs[winner]!, ticket)).exit.code).toBe(0);
  expect((await enroll(await newStateDir(), ticket)).exit.code).toBe(1);
  const [listed] = await admin(authority.node, "ticket", "list");
  expect(listed).toEqual({ ...before[0], refused: before[0].refused + 1 });
}

/** Established ones to its port, as the kernel has taken them (proc(5): state 01, local address in hexadecimal). */
async function connections({ channelPort }: AuthorityNode): Promise<number> {
  const port = channelPort.toString(16).toUpperCase().padStart(4, "0");
  const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").slice(1);
  return lines.filter((line) => new RegExp(`^\\s*\\d+: [0-9A-F]{8}:${port} \\S+ 01 `).test(line)).length;
}
