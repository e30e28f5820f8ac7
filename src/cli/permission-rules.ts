/** What leases of an outlet may do: the config's tables, and its JSON or the file with it. */
import { Fault } from "../base/fault.ts";
import type { InfluxdbOutletConfig } from "../config/config.ts";
import { parsePermissionJson } from "../config/permission-json.ts";
import type { PermissionRule } from "../outlet/lease-profile.ts";
import { readTextFile } from "./text-file.ts";

/** @throws Fault `config.invalid` for a file that cannot be read, or that holds anything else. */
export async function permissionRules(
  config: Pick<InfluxdbOutletConfig, "permissions" | "permissionsJson">,
): Promise<readonly PermissionRule[]> {
  const { permissions, permissionsJson: given } = config;
  if (!given) return permissions;
  if (given.kind === "rules") return [...permissions, ...given.rules];
  const key = '[[outlets.influxdb]] key "permissions_json"';
  const text = await readTextFile(given.path, key);
  try {
    return [...permissions, ...parsePermissionJson(text)];
  } catch (cause) {
    throw new Fault("config.invalid", `${key}, ${given.path}: ${Fault.from(cause).message}`, { cause });
  }
}
