/**
 * The canary's way from an outlet: with a lease that is made for it and deleted after it. Its description is
 * a lease's, so that the outlet revokes it should this command be killed in between.
 */
import { Fault } from "../../base/fault.ts";
import type { Config, InfluxdbOutletConfig } from "../../config/config.ts";
import type { BucketDirectory } from "../../outlet/bucket-directory.ts";
import type { InfluxdbApi } from "../../outlet/influxdb-api.ts";
import { influxdbSend } from "../../outlet/influxdb-send.ts";
import type { PermissionRule } from "../../outlet/lease-profile.ts";
import type { Upstream } from "../../outlet/upstream.ts";
import type { CanaryOptions } from "../node.ts";
import { type CanarySend, type Hop, releaseCanary } from "./canary.ts";
import type { Finding } from "./finding.ts";
import { leaseScribe } from "./lease-scribe.ts";

const LEASE_MS = 60_000;
const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

const INFLUXDB: Hop = {
  check: "hop.influxdb",
  what: "InfluxDB",
  request: { method: "GET", path: "/ping" },
  fits: ({ status }) => status === 204 || status === 200,
};

export interface OutletCanaryOptions {
  readonly outlet: InfluxdbOutletConfig;
  readonly config: Config;
  readonly api: InfluxdbApi;
  readonly upstream: Upstream;
  /** The config's buckets are found. */
  readonly buckets: BucketDirectory;
  readonly permissions: readonly PermissionRule[];
  readonly canary: CanaryOptions;
}

export async function outletCanary(options: OutletCanaryOptions): Promise<Finding[]> {
  const { outlet, api, upstream, canary } = options;
  const bucket = canary.bucket ?? writableBucket(options.permissions);
  if (bucket === undefined) {
    const message = `outlet "${outlet.service}" leases no right to write to a bucket that the config names`;
    return [{ severity: "info", check: "canary.write", message: `${message}; give --bucket` }];
  }
  const made = await makeLease(options, bucket);
  try {
    const ask = influxdbSend(upstream);
    const send: CanarySend = async ({ method, path, headers, body }) => {
      const authorization = `Token ${made.token}`;
      const sent = { method, path, headers: { ...headers, authorization }, maxAnswerBytes: MAX_ANSWER_BYTES };
      return await ask(body === undefined ? sent : { ...sent, body }, DEADLINE_MS);
    };
    const target = { organization: outlet.organization, bucket, measurement: canary.measurement };
    return await releaseCanary(send, target, [INFLUXDB]);
  } finally {
    await api.deleteAuthorization(made.authorizationId);
  }
}

interface MadeLease {
  readonly authorizationId: string;
  readonly token: string;
}

/** @throws Fault `lease.denied`, `upstream.*`, `state.unusable`. */
async function makeLease(options: OutletCanaryOptions, bucket: string): Promise<MadeLease> {
  const { outlet, config, api, buckets } = options;
  const scribe = await leaseScribe(config, outlet.service);
  if (!scribe) throw new Fault("state.unusable", "the node has no identity yet: start it once");
  const write = await buckets.resolve([{ action: "write", bucket }]);
  const read = await buckets.resolve([{ action: "read", bucket }]);
  const madeAtMs = Date.now();
  const description = scribe.codec.encode({
    leaseId: scribe.newLeaseId(),
    member: scribe.identifier,
    profile: "doctor",
    madeAtMs,
    expiresAtMs: madeAtMs + LEASE_MS,
  });
  const organizationId = write[0]?.organizationId ?? "";
  const create = (permissions: typeof write) =>
    api.createAuthorization({ organizationId, description, permissions });
  return await create([...write, ...read]).catch((thrown) => {
    // Who may not give the right to read away can still see that the point is stored.
    if (Fault.from(thrown).code === "upstream.denied") return create(write);
    throw thrown;
  });
}

function writableBucket(permissions: readonly PermissionRule[]): string | undefined {
  return permissions.find(({ action, bucket }) => action === "write" && bucket.attributes.length === 0)
    ?.bucket.text;
}
