import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { Identity } from "../../../src/identity/identity.ts";
import { checkLeaks, Spawned } from "../../harness/spawned.ts";
import { Bed, faultOf, newDevice } from "./authority-bed.ts";

checkLeaks();

const KILLS = 20;
/** The authority lets 500 try at once. */
const TRIED_AGAIN = 100;
const program = fileURLToPath(new URL("crash.program.ts", import.meta.url));

it(`T2 an authority killed ${KILLS} times at any instant keeps every answer, and gives no use twice`, async () => {
  const bed = await Bed.make();
  bed.authority.close();
  const key = Buffer.from(bed.key.revealPrivateKey()).toString("hex");
  const grants: { ticketId: string; device: Identity }[] = [];
  const tickets = new Map<string, string>();
  for (let kill = 0; kill < KILLS; kill++) {
    const running = new Spawned({ command: process.execPath, args: [program, bed.path, key] });
    await running.waitForOutput(/granted/, { from: "stdout", everyMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    expect(await running.kill()).toMatchObject({ signal: "SIGKILL" });
    // The last line may be half a line: that answer was not out.
    for (const line of running.stdout.split("\n").slice(0, -1)) {
      const [what, ticketId = "", ...rest] = line.split(" ");
      if (what === "ticket") tickets.set(ticketId, rest[1]!);
      else grants.push({ ticketId, device: new Identity(Buffer.from(rest[0]!, "hex"), nodeProvider) });
    }

    bed.clock.wall = Date.now();
    await bed.open();
    const listed = new Map(bed.authority.tickets().map((ticket) => [ticket.ticketId, ticket]));
    for (const ticketId of tickets.keys()) expect(listed.has(ticketId)).toBe(true);
    for (const { uses, used, usedBy } of listed.values()) {
      expect(used).toBeLessThanOrEqual(uses);
      expect(new Set(usedBy).size).toBe(used);
      for (const identifier of usedBy) expect(bed.authority.find(identifier)?.state).toBe("active");
    }
    for (const { ticketId, device } of grants)
      expect(listed.get(ticketId)?.usedBy).toContain(device.identifier);
    for (const { ticketId, device } of grants.slice(-TRIED_AGAIN)) {
      const text = tickets.get(ticketId)!;
      expect(faultOf(() => bed.enroll(device, text))).toBeUndefined();
      if (listed.get(ticketId)?.state === "used")
        expect(faultOf(() => bed.enroll(newDevice(), text))).toBe("ticket.used");
    }
    bed.authority.close();
  }
  expect(grants.length).toBeGreaterThan(KILLS);
  const database = new DatabaseSync(bed.path);
  expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
  database.close();
}, 120_000);
