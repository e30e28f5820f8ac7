/** `culvert config sample`: a config with every key and its explanation, made from the schema. */

import { tables } from "./schema.ts";
import { header, type KeyEntry, type Role, type TableEntry, type WrittenValue } from "./schema-entry.ts";

const WRAP_CHARS = 80;

/**
 * A config in which only `<…>` and the addresses are left to fill in. Keys that may stay at their
 * default are commented out and show it.
 * @param role what one kind of node needs; absent: everything.
 */
export function sampleConfig(role?: Role): string {
  const shown = tables.filter((entry) => fits(entry, role));
  const whose = role ? ` for ${role === "relay" ? "a" : "an"} ${role}` : "";
  const preamble = comment(
    `Configuration of culvert${whose}. Keys that are commented out show their default or an example; tables that are, what is wanted now and then. ` +
      `In text values \${NAME} and \${NAME:-default} take environment variables; a secret may be given as ` +
      "@{env:NAME} or @{file:/absolute/path}.",
    "",
  );
  return `${[preamble, ...shown.map((entry) => tableText(entry, role, ""))].join("\n\n")}\n`;
}

/** As TOML: texts in quotes, lists in brackets. */
export function tomlValue(value: WrittenValue): string {
  return typeof value === "object"
    ? `[${value.map((item) => JSON.stringify(item)).join(", ")}]`
    : JSON.stringify(value);
}

function tableText(entry: TableEntry, role: Role | undefined, indent: string): string {
  const keys = Object.entries(entry.keys)
    .filter(([, key]) => fits(key, role))
    .map(([name, key]) => keyText(name, key, `${indent}  `));
  const below = Object.values(entry.tables).map((table) => tableText(table, role, `${indent}  `));
  const text = [
    comment(entry.doc, indent),
    `${indent}${header(entry)}`,
    [...keys, ...below].join("\n\n"),
  ].join("\n");
  return entry.extra ? text.replaceAll(/^/gm, "# ").replaceAll(/^# $/gm, "#") : text;
}

function keyText(name: string, key: KeyEntry, indent: string): string {
  const words =
    key.values && key.values.length > 1 ? ` One of ${key.values.map((v) => `"${v}"`).join(", ")}.` : "";
  const doc = comment(`${key.doc}${words}`, indent);
  const needed = key.required !== undefined || key.suggested;
  // A default that shows nothing of the form.
  const empty = key.default === "" || (Array.isArray(key.default) && key.default.length === 0);
  const value = key.default === undefined || needed || empty ? (key.example ?? "") : key.default;
  return `${doc}\n${indent}${needed ? "" : "# "}${name} = ${tomlValue(value)}`;
}

function fits(entry: { readonly role?: Role }, role: Role | undefined): boolean {
  return role === undefined || entry.role === undefined || entry.role === role;
}

function comment(text: string, indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && indent.length + last.length + 1 + word.length <= WRAP_CHARS)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`## ${word}`);
  }
  return lines.map((line) => `${indent}${line}`).join("\n");
}
