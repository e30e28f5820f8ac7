/** Every role in one binary. */
import { awsStore } from "../secrets/aws-store.ts";
import { authorityRoutes } from "./admin-authority.ts";
import { openAuthority } from "./authority-part.ts";
import { authorityBackup } from "./commands/authority.ts";
import { completion } from "./commands/completion.ts";
import { configCheck, configSample } from "./commands/config.ts";
import { configImport } from "./commands/config-import.ts";
import { demo } from "./commands/demo.ts";
import { doctor } from "./commands/doctor.ts";
import { enroll } from "./commands/enroll.ts";
import { exec } from "./commands/exec.ts";
import { identityShow } from "./commands/identity.ts";
import { leaseCommands } from "./commands/lease.ts";
import { man } from "./commands/man.ts";
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
import { startRelayRole } from "./relay-role.ts";

await main(
  "culvert",
  [
    run,
    demo,
    configSample,
    configCheck,
    configImport,
    ...ticketCommands,
    enroll,
    ...memberCommands,
    ...leaseCommands,
    exec,
    authorityBackup,
    status,
    doctor,
    identityShow,
    completion,
    man,
    versionCommand,
  ],
  {
    inlet: startInletRole,
    outlet: startOutletRole,
    relay: startRelayRole,
    authority: { open: openAuthority, routes: authorityRoutes },
    check: checkOutlets,
    awsSecrets: awsStore,
    examine: examineOutlets,
  },
);
