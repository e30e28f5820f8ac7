/**
 * One text of a node's configuration, with `$NAME`, `${NAME}` and `${NAME:-default}` in it. The environment
 * goes before the file's own `variables`, as `${NAME:-default}` has it here: so that is what they become.
 */
import type { Findings, Place } from "../config/finding.ts";
import type { NodeText } from "./node-file.ts";

export interface Phrase {
  /** As a culvert.toml has it. */
  readonly written: string;
  /** What it is without an environment; undefined where it takes one. */
  readonly resolved: string | undefined;
  /** The one variable that it consists of, if it does. */
  readonly variable: string | undefined;
}

export type Variables = ReadonlyMap<string, string>;

/** What the texts of Ockam's cloud templates have for values that come later. */
const PLACEHOLDERS = ["INFLUX_ENDPOINT", "INFLUX_ORG_ID", "INFLUX_TOKEN", "LEASED_TOKEN_PERMISSIONS"];
const TOKEN = new RegExp(
  `\\$\\$|\\$\\{([A-Za-z_]\\w*)(?::-([^}]*))?\\}|\\$([A-Za-z_]\\w*)|\\b(${PLACEHOLDERS.join("|")})\\b`,
  "g",
);

/** @param variables the file's own. */
export function parsePhrase(text: string, variables: Variables): Phrase {
  let written = "";
  let resolved: string | undefined = "";
  // Text without a variable, as far as it goes: `$$` and a brace after it are one text.
  let plain = "";
  let at = 0;
  let only: string | undefined;
  for (const match of text.matchAll(TOKEN)) {
    const [whole, braced, fallback, bare, placeholder] = match;
    plain += text.slice(at, match.index);
    at = match.index + whole.length;
    const name = braced ?? bare ?? placeholder ?? "";
    if (whole.length === text.length && whole !== "$$") only = name;
    const value = whole === "$$" ? "$" : (variables.get(name) ?? fallback);
    // A brace would end the default, and a "$" before a variable would undo it: such a value stands for itself.
    if (whole === "$$" || (value !== undefined && (value.includes("}") || plain.endsWith("$")))) {
      plain += value;
      continue;
    }
    written += `${literal(plain)}\${${name}${value === undefined ? "" : `:-${value}`}}`;
    resolved = value === undefined || resolved === undefined ? undefined : resolved + plain + value;
    plain = "";
  }
  plain += text.slice(at);
  return {
    written: written + literal(plain),
    resolved: resolved === undefined ? undefined : resolved + plain,
    variable: only,
  };
}

/** With a text before and after it. */
export function joined(before: string, phrase: Phrase, after = ""): Phrase {
  return {
    written: literal(before) + phrase.written + literal(after),
    resolved: phrase.resolved === undefined ? undefined : before + phrase.resolved + after,
    variable: undefined,
  };
}

/** @returns the file's `variables`, of which none may need another. */
export function readVariables(
  entries: readonly { key: string; place: Place; value: NodeText }[],
  findings: Findings,
): Variables {
  const variables = new Map<string, string>();
  for (const { key, place, value } of entries) {
    if (!/^[A-Za-z_]\w*$/.test(key)) findings.add(place, "a variable's name has letters, digits and _ alone");
    else if (value.text === "") findings.add(place, "a variable without a value");
    else if (/[$\n]/.test(value.text))
      findings.add(place, "a variable must be one line without another variable");
    else variables.set(key, value.text);
  }
  return variables;
}

/** `${` would begin a variable in a culvert.toml. */
function literal(text: string): string {
  // By a function: in a text, "$$" would stand for one of them.
  return text.replaceAll("${", () => "$${");
}
