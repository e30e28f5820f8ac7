/**
 * Permissions as InfluxDB's API takes them, in JSON: `[{"action", "resource": {"type", "orgID", "name"}}]`.
 * What comes out names one bucket each. InfluxDB takes a permission without one for a right to every bucket,
 * so nothing here is passed on as it was written.
 */
import { Fault } from "../base/fault.ts";
import { parseTemplate, type Template } from "../policy/template.ts";
import { Problem, quoted } from "./finding.ts";
import { isPlainAbsolutePath } from "./secret-reference.ts";

export interface BucketPermission {
  readonly action: "read" | "write";
  /** By its name, or by its id. */
  readonly bucket: Template;
}

export type PermissionSource =
  | { readonly kind: "rules"; readonly rules: readonly BucketPermission[] }
  | { readonly kind: "file"; readonly path: string };

/** Stands for the organization's id, which is found by the key `organization`. */
export const ORGANIZATION_ID = "INFLUX_ORG_ID";
export const MAX_PERMISSIONS = 256;

/** The JSON itself, or `@{file:/path}`. */
export function parsePermissionSource(text: string): PermissionSource | Problem {
  if (text.startsWith("@{")) {
    const path = /^@\{file:([^{}]+)\}$/.exec(text)?.[1];
    if (path && isPlainAbsolutePath(path)) return { kind: "file", path };
    return new Problem('must be JSON, or a file of it, as in "@{file:/etc/culvert/permissions.json}"');
  }
  try {
    return { kind: "rules", rules: parsePermissionJson(text) };
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    return new Problem(thrown.message);
  }
}

/** @throws Fault `config.invalid` that completes `key "x" …`. */
export function parsePermissionJson(text: string): BucketPermission[] {
  const read = jsonOf(text);
  if (!Array.isArray(read)) throw invalid("must be JSON: a list of permissions");
  if (read.length === 0) throw invalid("holds no permission");
  if (read.length > MAX_PERMISSIONS) throw invalid(`holds more than ${MAX_PERMISSIONS} permissions`);
  return read.map((item: unknown, i) => permissionOf(item, `permission ${i + 1}`));
}

function permissionOf(item: unknown, which: string): BucketPermission {
  const { action, resource } = fieldsOf(item, which, ["action", "resource"]);
  if (action !== "read" && action !== "write") throw invalid(`${which}: "action" must be "read" or "write"`);
  const { type, id, name, orgID } = fieldsOf(resource, `${which}: "resource"`, [
    ...["type", "id", "name", "orgID", "org"],
  ]);
  if (type !== "buckets") throw invalid(`${which}: "type" must be "buckets": a lease is for nothing else`);
  if (orgID !== undefined && orgID !== ORGANIZATION_ID) {
    throw invalid(
      `${which}: "orgID" must be "${ORGANIZATION_ID}", which is replaced by the organization's id`,
    );
  }
  if ((id === undefined) === (name === undefined)) {
    throw invalid(
      `${which}: it must name one bucket, by "name" or by "id": without, InfluxDB grants every bucket`,
    );
  }
  if (id !== undefined && !(typeof id === "string" && /^[0-9a-f]{16}$/.test(id))) {
    throw invalid(`${which}: "id" must be a bucket's id, 16 hexadecimal digits`);
  }
  if (name !== undefined && (typeof name !== "string" || /[\u0000-\u001f\u007f]/.test(name))) {
    throw invalid(`${which}: "name" must be a bucket's name`);
  }
  try {
    return { action, bucket: parseTemplate(String(id ?? name)) };
  } catch (cause) {
    throw invalid(`${which}: ${Fault.from(cause).message}`, cause);
  }
}

/** An unknown field could be one that widens what InfluxDB grants. */
function fieldsOf(value: unknown, which: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${which} must be an object`);
  }
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw invalid(`${which} has an unknown field ${quoted(unknown)}`);
  return { ...value };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalid(text: string, cause?: unknown): Fault {
  return new Fault("config.invalid", text, cause === undefined ? {} : { cause });
}
