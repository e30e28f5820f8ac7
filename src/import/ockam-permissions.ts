/**
 * `leased-token-permissions`: what Ockam hands to InfluxDB as it is, to rights that name one bucket each. A
 * permission without a bucket is InfluxDB's word for all of them, which nobody gets here by leaving it out.
 */

export interface ImportedRight {
  readonly action: "read" | "write";
  /** Name or id; undefined: Ockam's was for every bucket. */
  readonly bucket: string | undefined;
}

export interface ImportedRights {
  readonly rights: readonly ImportedRight[];
  /** Kinds of resources that no lease is for, each once. */
  readonly left: readonly string[];
}

const MAX_PERMISSIONS = 256;

/** @returns undefined, or why it is none; completes `"leased-token-permissions" …`. Holds nothing of the text. */
export function importedRights(json: string): ImportedRights | string {
  let read: unknown;
  try {
    read = JSON.parse(json);
  } catch {
    return "must be JSON: a list of permissions as InfluxDB's API takes them; is it whole?";
  }
  if (!Array.isArray(read) || read.length === 0) return "must be a list of permissions, with one at least";
  if (read.length > MAX_PERMISSIONS) return `holds more than ${MAX_PERMISSIONS} permissions`;
  const rights: ImportedRight[] = [];
  const left = new Set<string>();
  for (const [i, item] of read.entries()) {
    const { action, resource } = fields(item);
    const { type, name, id } = fields(resource);
    if (action !== "read" && action !== "write") return `permission ${i + 1} has no action "read" or "write"`;
    if (typeof type !== "string" || !/^[a-z]{1,32}$/i.test(type))
      return `permission ${i + 1} has no resource type`;
    const bucket = name ?? id;
    if (
      bucket !== undefined &&
      (typeof bucket !== "string" || !/^[^\u0000-\u001f\u007f]{1,256}$/.test(bucket))
    )
      return `permission ${i + 1} has a name or id that is no text`;
    if (type !== "buckets") left.add(type);
    else if (!rights.some((right) => right.action === action && right.bucket === bucket))
      rights.push({ action, bucket });
  }
  return { rights, left: [...left] };
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
