import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { Authority } from "../../../src/authority/authority.ts";
import { openAuthorityStore } from "../../../src/authority/authority-store.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { clear, culvert, serve, stateDirectory } from "./admin-bed.ts";

afterEach(clear);

it("the commands for tickets and backups work with the authority itself", async () => {
  const stateDir = stateDirectory();
  const authority = new Authority({
    store: await openAuthorityStore(join(stateDir, "authority.db")),
    key: generateIdentity(nodeProvider),
    provider: nodeProvider,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    credentialLifetimeMs: 86_400_000,
    clones: "warn",
    addresses: () => ["tcp://127.0.0.1:4433"],
  });
  try {
    await serve(stateDir, { authority: { authority } });
    const run = (...args: string[]) => culvert([...args, "--state-dir", stateDir]);
    const made = await run("ticket", "create", "--attribute", "site=berlin");
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/^culvert-ticket-1\.[\w-]+\.[\w-]+$/) });
    const { ticketId } = authority.tickets()[0]!;
    expect((await run("ticket", "revoke", ticketId.slice(0, 6))).code).toBe(0);
    expect((await run("ticket", "list")).out).toMatch(
      new RegExp(`^${ticketId} +revoked .* site=berlin$`, "m"),
    );

    expect((await run("ticket", "create", "--attribute", "culvert-authority=true")).code).toBe(1);
    expect((await run("ticket", "create", "--expires", "999d")).code).toBe(2);
    expect((await run("member", "list")).out).toBe("no members");
    const stranger = generateIdentity(nodeProvider).identifier;
    for (const args of [["show"], ["revoke"], ["unlock"], ["set", "a=b"]]) {
      expect((await run("member", args[0]!, stranger, ...args.slice(1))).code).toBe(1);
    }

    const file = join(stateDir, "backup");
    expect((await run("authority", "backup", file)).code).toBe(0);
    expect(existsSync(file)).toBe(true);
    expect((await run("authority", "backup", file)).code).not.toBe(0);
  } finally {
    authority.close();
  }
});
