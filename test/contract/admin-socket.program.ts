/**
 * The admin socket at both ends, on whatever runtime runs this: the contract test builds it once and runs
 * it under Bun, Node and Deno. Prints what came of it as JSON.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../src/base/fault.ts";
import { silentLog } from "../../src/base/log.ts";
import { authorityRoutes } from "../../src/cli/admin-authority.ts";
import { askAdmin } from "../../src/cli/admin-client.ts";
import { serveAdmin } from "../../src/cli/admin-server.ts";
import { FakeAuthority } from "../unit/cli/fake-authority.ts";

const stateDir = process.argv[2]!;
const authority = new FakeAuthority();
const identifier = authority.addMember();
const options = {
  stateDir,
  source: { status: () => ({ version: "9.9.9" }), authority: { authority } },
  authorityRoutes,
  log: silentLog,
};

const listener = await serveAdmin(options);
const mode = statSync(join(stateDir, "admin.sock")).mode & 0o777;
const status = await askAdmin({ stateDir, method: "GET", path: "/status" });
const path = `/members/${identifier}`;
const changed = await askAdmin({ stateDir, method: "PATCH", path, body: { attributes: { site: "größer" } } });
const tooLarge = await codeOf(askAdmin({ stateDir, method: "PATCH", path, body: "x".repeat(100_000) }));
const second = await codeOf(serveAdmin(options));
await listener.stop(0);
const stopped = await codeOf(askAdmin({ stateDir, method: "GET", path: "/status" }));
console.log(JSON.stringify({ mode, status, changed, tooLarge, second, stopped }));
process.exit(0);

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (thrown) => (thrown instanceof Fault ? thrown.code : String(thrown)),
  );
}
