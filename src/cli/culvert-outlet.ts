/** The build beside InfluxDB: the outlet without the inlet. */
import { configCheck, configSample } from "./commands/config.ts";
import { identityShow } from "./commands/identity.ts";
import { run } from "./commands/run.ts";
import { versionCommand } from "./commands/version.ts";
import { main } from "./entry.ts";
import { checkOutlets } from "./outlet-check.ts";
import { startOutletRole } from "./outlet-role.ts";

await main("culvert-outlet", [run, configSample, configCheck, identityShow, versionCommand], {
  outlet: startOutletRole,
  check: checkOutlets,
});
