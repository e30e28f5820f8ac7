/** One field out of a secret that is JSON. What is wrong is said with the names of fields, never with a value. */
import { Fault } from "../base/fault.ts";

const MAX_NAMES = 20;
const MAX_NAME_CHARS = 64;

/**
 * @param name the secret, as faults begin.
 * @param field undefined where the secret is meant as a whole.
 * @throws Fault `secret.unavailable` for a JSON object as a whole: nothing that is one is a token.
 */
export function fieldOf(name: string, text: string, field: string | undefined): string {
  const object = objectIn(text);
  const fail = (why: string): never => {
    throw new Fault("secret.unavailable", `${name} ${why}`);
  };
  if (field === undefined) {
    if (!object) return text;
    return fail(`is JSON: name the field that is meant, with #field at its end; ${fieldsOf(object)}`);
  }
  if (!object) return fail(`is no JSON object, so it has no field ${JSON.stringify(field)}`);
  const value = Object.hasOwn(object, field) ? object[field] : undefined;
  if (value === undefined) return fail(`has no field ${JSON.stringify(field)}; ${fieldsOf(object)}`);
  return typeof value === "string" ? value : fail(`has a field ${JSON.stringify(field)} that is no text`);
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function fieldsOf(object: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(object);
  if (names.length === 0) return "it has no fields";
  const shown = names.slice(0, MAX_NAMES).map((field) => JSON.stringify(field.slice(0, MAX_NAME_CHARS)));
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : "";
  return `it has ${shown.join(", ")}${more}${passwordHint(names)}`;
}

/** Timestream for InfluxDB keeps a user and a password in one secret and the token in another. */
function passwordHint(names: readonly string[]): string {
  if (!names.includes("password") || names.includes("token")) return "";
  return "; a user name and a password, as it seems: InfluxDB's token is kept in another secret";
}
