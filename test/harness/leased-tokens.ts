/** The tokens in InfluxDB that an outlet has made, told from all others by what their description says. */
import type { Authorization, InfluxDbUnderTest } from "./influxdb-under-test.ts";

export interface LeasedToken extends Authorization {
  readonly member: string;
  readonly leaseId: string;
  readonly expiresAtMs: number;
}

/** @param outlet identifier of the outlet; a forged description may well name it too. */
export async function leasedTokens(
  influx: InfluxDbUnderTest,
  outlet?: string,
): Promise<readonly LeasedToken[]> {
  const pattern = /^culvert lease 1: member=(\S+) .*expires=(\S+) .*lease=(\S+) realm=([^/]+)\//;
  return (await influx.listAuthorizations()).flatMap((authorization) => {
    const match = pattern.exec(authorization.description);
    if (!match || (outlet !== undefined && match[4] !== outlet)) return [];
    const [, member, expires, leaseId] = match;
    return [{ ...authorization, member: member!, leaseId: leaseId!, expiresAtMs: Date.parse(expires!) }];
  });
}
