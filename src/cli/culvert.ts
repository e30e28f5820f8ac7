/** Every role in one binary. */
import { configCheck, configSample } from "./commands/config.ts";
import { demo } from "./commands/demo.ts";
import { identityShow } from "./commands/identity.ts";
import { run } from "./commands/run.ts";
import { versionCommand } from "./commands/version.ts";
import { main } from "./entry.ts";
import { startInletRole } from "./inlet-role.ts";
import { checkOutlets } from "./outlet-check.ts";
import { startOutletRole } from "./outlet-role.ts";

await main("culvert", [run, demo, configSample, configCheck, identityShow, versionCommand], {
  inlet: startInletRole,
  outlet: startOutletRole,
  check: checkOutlets,
});
