/** A device whose state directory was copied, as whoever copies an SD card does, and what its authority says of it. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import {
  type Answer,
  type AuthorityNode,
  admin,
  type Device,
  type makeAuthority,
  makeDevice,
  startAuthority,
} from "./members.ts";
import { startStandInInfluxDb } from "./stand-in-influxdb.ts";

export async function anAuthority(
  authority = "",
  more: Pick<NonNullable<Parameters<typeof makeAuthority>[0]>, "channelPort" | "advertise"> = {},
) {
  const influx = await startStandInInfluxDb();
  const adminToken = influx.operatorToken.reveal();
  return {
    influx,
    authority: await startAuthority({ influxUrl: influx.url, adminToken, authority, ...more }),
  };
}

/** What whoever copies an SD card has: all of the state directory, in a machine of its own. Not running yet. */
export async function copyOf(device: Device): Promise<Device> {
  const copy = await makeDevice();
  for (const file of ["identity.json", "enrollment.json"])
    await copyFile(join(device.node.stateDir, file), join(copy.node.stateDir, file));
  return copy;
}

export async function memberOf(authority: AuthorityNode, device: Device): Promise<Answer> {
  return await admin(authority.node, "member", "show", device.node.identifier);
}

export async function untilMarked(authority: AuthorityNode, device: Device, patience = {}): Promise<Answer> {
  return await eventually(
    "the mark of a copied device",
    async () => {
      const member = await memberOf(authority, device);
      return member.clone && member;
    },
    { deadlineMs: 30_000, everyMs: 200, ...patience },
  );
}

export async function untilUpFor(authority: AuthorityNode, device: Device, ms: number): Promise<void> {
  await eventually(
    "a channel that lasts",
    async () => (await memberOf(authority, device)).live.some((each: Answer) => each.upForMs > ms),
    { deadlineMs: 60_000, everyMs: 200 },
  );
}
