/** `config check` at an outlet: can the secret be read, does InfluxDB answer, are organization and buckets there. */
import { Fault } from "../base/fault.ts";
import type { Config } from "../config/config.ts";
import { BucketDirectory } from "../outlet/bucket-directory.ts";
import { InfluxdbApi } from "../outlet/influxdb-api.ts";
import { influxdbSend } from "../outlet/influxdb-send.ts";
import { ProfileBook } from "../outlet/lease-profile.ts";
import { adminToken, makeUpstream } from "./outlet-role.ts";

/** @returns a line for each thing that is not right. */
export async function checkOutlets(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string[]> {
  const findings = await Promise.all(
    config.outlets.influxdb.map(async (outlet) => {
      try {
        const upstream = await makeUpstream(outlet);
        try {
          const api = new InfluxdbApi({ send: influxdbSend(upstream), token: adminToken(outlet, { env }) });
          await api.listAuthorizations();
          // Names that members' attributes make are looked up when such a member comes.
          const { fixedBuckets: fixed } = new ProfileBook({ permissions: outlet.permissions });
          const buckets = new BucketDirectory({
            ...{ api, fixed, organization: outlet.organization },
            monotonicMs: () => performance.now(),
          });
          await buckets.refresh(() => {});
        } finally {
          await upstream.destroy();
        }
        return undefined;
      } catch (thrown) {
        const fault = Fault.from(thrown);
        return `[[outlets.influxdb]] service "${outlet.service}": ${fault.message}`;
      }
    }),
  );
  return findings.filter((finding) => finding !== undefined);
}
