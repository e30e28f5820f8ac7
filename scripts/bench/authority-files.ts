/** authority-files: the state of an authority with many members, as if they had all enrolled. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openAuthorityStore } from "../../src/authority/authority-store.ts";
import { encodeIdentityFile, type Identity } from "../../src/identity/identity.ts";
import type { Member } from "../../src/identity/roster.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

export async function writeAuthority(
  stateDir: string,
  authority: Identity,
  members: readonly Member[],
): Promise<void> {
  writeFileSync(join(stateDir, "authority-key.json"), encodeIdentityFile(authority), { mode: 0o600 });
  const path = join(stateDir, "authority.db");
  const store = await openAuthorityStore(path);
  const nowMs = Date.now();
  store.setOwner(authority.identifier);
  const records = members.map(({ identifier, state, attributes }) => ({
    ...{ identifier, state, attributes },
    enrolledAtMs: nowMs,
    ticketId: "bench",
    service: "influxdb",
    credentialExpiresAtMs: nowMs + DAY_MS,
  }));
  store.update(records, [], nowMs);
  store.close();
  chmodSync(path, 0o600);
}
