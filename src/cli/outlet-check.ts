/**
 * `config check` at an outlet: can the secret be read, does InfluxDB answer, are organization and buckets
 * there, and is the token fit for them.
 */
import { Fault } from "../base/fault.ts";
import { silentLog } from "../base/log.ts";
import type { Config, InfluxdbOutletConfig } from "../config/config.ts";
import { BucketDirectory } from "../outlet/bucket-directory.ts";
import { InfluxdbApi } from "../outlet/influxdb-api.ts";
import { influxdbSend } from "../outlet/influxdb-send.ts";
import { ProfileBook } from "../outlet/lease-profile.ts";
import type { SecretShelf } from "../secrets/secret-shelf.ts";
import { runtimeWires } from "../transport/wire-runtime.ts";
import type { RoleCheck } from "./node.ts";
import { adminToken, makeUpstream } from "./outlet-role.ts";
import { tokenWarnings, tokenWatch } from "./outlet-token.ts";
import { permissionRules } from "./permission-rules.ts";
import { checkPortalOutlet } from "./portal-outlets.ts";

export async function checkOutlets(config: Config, secrets: SecretShelf): Promise<RoleCheck> {
  const checks = await Promise.all(config.outlets.influxdb.map((outlet) => checkOutlet(outlet, secrets)));
  const wires = await runtimeWires();
  const portals = await Promise.all(
    config.outlets.tcp.map((outlet) => checkPortalOutlet(outlet, wires, silentLog)),
  );
  return {
    findings: [
      ...checks.flatMap(({ findings }) => findings),
      ...portals.filter((finding) => finding !== undefined),
    ],
    warnings: checks.flatMap(({ warnings }) => warnings),
  };
}

async function checkOutlet(outlet: InfluxdbOutletConfig, secrets: SecretShelf): Promise<RoleCheck> {
  const named = (text: string) => `[[outlets.influxdb]] service "${outlet.service}": ${text}`;
  try {
    const permissions = await permissionRules(outlet);
    const upstream = await makeUpstream(outlet);
    try {
      const token = await adminToken(outlet, { secrets });
      const api = new InfluxdbApi({ send: influxdbSend(upstream), token });
      if (outlet.leaseStrategy === "fixed") {
        await token();
        await api.ping();
        const warning = 'what "fixed_token" may do cannot be compared with the permissions';
        return { findings: [], warnings: [named(warning)] };
      }
      const watch = tokenWatch({ config: outlet, permissions, api });
      await watch.admit(await api.listAuthorizations());
      // Names that members' attributes make are looked up when such a member comes.
      const { fixedBuckets: fixed } = new ProfileBook({ permissions });
      const buckets = new BucketDirectory({
        ...{ api, fixed, organization: outlet.organization },
        monotonicMs: () => performance.now(),
      });
      const compare = () => watch.compare((permission) => buckets.remembered([permission])?.[0]);
      const trouble = await buckets.refresh(() => {}).catch((thrown) => Fault.from(thrown));
      // A bucket that seems not to be there may be one that the token may not read: then that is said.
      if (trouble && trouble.code !== "lease.denied") throw trouble;
      const review = compare();
      if (trouble) throw trouble;
      const unseen =
        review.kind === "unknown" ? [`what the token may do is not known: ${review.reason}`] : [];
      return { findings: [], warnings: [...unseen, ...tokenWarnings(review)].map(named) };
    } finally {
      await upstream.destroy();
    }
  } catch (thrown) {
    return { findings: [named(Fault.from(thrown).message)], warnings: [] };
  }
}
