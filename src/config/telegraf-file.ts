/** A telegraf.conf as far as it is TOML: Telegraf replaces its variables in the text, before it parses. */
import { Findings } from "./finding.ts";
import type { Environment } from "./substitution.ts";
import { readDocument, type Source, type Table, type TomlDocument } from "./toml-document.ts";

/** @throws Fault `config.invalid` with file and line. */
export function parseTelegrafFile({ file, text }: Source, env: Environment): Table {
  const findings = new Findings([file]);
  const document = readDocument({ file, text: text.replace(VARIABLE, valueIn(env)) }, findings);
  findings.throwIfAny();
  return document?.root ?? {};
}

/**
 * The same with "0" for each variable: where keys stand, for whoever has not Telegraf's environment.
 * @throws Fault `config.invalid` with file and line.
 */
export function telegrafShape({ file, text }: Source): TomlDocument {
  const findings = new Findings([file]);
  const document = readDocument({ file, text: withoutVariables(text) }, findings);
  findings.throwIfAny();
  return document!;
}

/** Line by line the same text. */
export function withoutVariables(text: string): string {
  return text.replace(VARIABLE, "0");
}

/** `${NAME}`, `${NAME:-default}`, `$NAME`. */
const VARIABLE = /\$\{([A-Za-z_]\w*)(?::?-([^}\n]*))?\}|\$([A-Za-z_]\w*)/g;

/** One that this shell does not have stays as it is, as with Telegraf. */
function valueIn(env: Environment) {
  return (whole: string, braced?: string, fallback?: string, bare?: string): string => {
    const name = braced ?? bare ?? "";
    return (Object.hasOwn(env, name) ? env[name] : undefined) ?? fallback ?? whole;
  };
}
