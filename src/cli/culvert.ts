/** Every role in one binary. */
import { awsStore } from "../secrets/aws-store.ts";
import { authorityRoutes } from "./admin-authority.ts";
import { openAuthority } from "./authority-part.ts";
import { authorityBackup } from "./commands/authority.ts";
import { configCheck, configSample } from "./commands/config.ts";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { enroll } from "./commands/enroll.ts";
import { exec } from "./commands/exec.ts";
import { identityShow } from "./commands/identity.ts";
import { leaseCommands } from "./commands/lease.ts";
import { memberCommands } from "./commands/member.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { ticketCommands } from "./commands/ticket.ts";
import { versionCommand } from "./commands/version.ts";
import { examineOutlets } from "./doctor/outlet-findings.ts";
import { main } from "./entry.ts";
import { startInletRole } from "./inlet-role.ts";
import { checkOutlets } from "./outlet-check.ts";
import { startOutletRole } from "./outlet-role.ts";

await main(
  "culvert",
  [
    run,
    demo,
    configSample,
    configCheck,
    ...ticketCommands,
    enroll,
    ...memberCommands,
    ...leaseCommands,
    exec,
    authorityBackup,
    status,
    doctor,
    identityShow,
    versionCommand,
  ],
  {
    inlet: startInletRole,
    outlet: startOutletRole,
    authority: { open: openAuthority, routes: authorityRoutes },
    check: checkOutlets,
    awsSecrets: awsStore,
    examine: examineOutlets,
  },
);
