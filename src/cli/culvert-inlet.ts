/** The minimal edge build: the inlet alone, with no code of any other role in it. */
import { completion } from "./commands/completion.ts";
import { configCheck, configSample } from "./commands/config.ts";
import { doctor } from "./commands/doctor.ts";
import { enroll } from "./commands/enroll.ts";
import { exec } from "./commands/exec.ts";
import { identityShow } from "./commands/identity.ts";
import { leaseCommands } from "./commands/lease.ts";
import { man } from "./commands/man.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { versionCommand } from "./commands/version.ts";
import { main } from "./entry.ts";
import { startInletRole } from "./inlet-role.ts";

await main(
  "culvert-inlet",
  [
    run,
    configSample,
    configCheck,
    enroll,
    ...leaseCommands,
    exec,
    status,
    doctor,
    identityShow,
    completion,
    man,
    versionCommand,
  ],
  {
    inlet: startInletRole,
  },
);
