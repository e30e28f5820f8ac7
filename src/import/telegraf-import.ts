/**
 * A telegraf.conf with its InfluxDB outputs changed so that they write to the inlet: its address, no token.
 * Only those lines are touched. What may be a secret is masked in the patch, never in the changed text.
 */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { Findings } from "../config/finding.ts";
import { locateKeys } from "../config/key-locator.ts";
import { telegrafShape, withoutVariables } from "../config/telegraf-file.ts";
import { isTable, readDocument, type Source, type Table } from "../config/toml-document.ts";
import { withoutSecrets } from "./secret-mask.ts";

export interface TelegrafChange {
  /** The whole text as it should be. */
  readonly text: string;
  /** Unified; empty where there is nothing to change. */
  readonly patch: string;
  /** Something in the patch is masked, so that it cannot be applied. */
  readonly isMasked: boolean;
  readonly notes: readonly string[];
}

const PLUGINS = ["influxdb_v2", "influxdb"] as const;
type Plugin = (typeof PLUGINS)[number];

/** Keys that have no use any more, or would lead past the inlet. */
const REMOVED: Readonly<Record<Plugin, readonly string[]>> = {
  influxdb_v2: ["token", "http_proxy"],
  influxdb: ["username", "password", "http_proxy", "url"],
};
const MAX_VALUE_LINES = 200;

/**
 * @param inlet `http://host:port` or `unix:///path`, with nothing that TOML would escape.
 * @throws Fault `config.invalid` with file and line: no TOML, no such output, or one in a form that is not
 *   edited here.
 */
export function changedTelegraf(source: Source, inlet: string): TelegrafChange {
  const { file, text } = source;
  const findings = new Findings([file]);
  const { root } = telegrafShape(source);
  const edit = new Edit(source, findings);
  const outputs = isTable(root.outputs) ? root.outputs : {};
  const found = PLUGINS.flatMap((plugin) => tablesOf(outputs, plugin));
  for (const one of found) changeOutput(one, inlet, edit);
  if (found.length === 0) findings.add({ file, line: 1 }, "has no [[outputs.influxdb_v2]] to change");
  findings.throwIfAny();
  const changed = edit.text();
  const patchOf = (before: string, after: string): string =>
    createTwoFilesPatch(file, file, before, after, "", "", { context: 3, headerOptions: FILE_HEADERS_ONLY });
  const patch = changed === text ? "" : patchOf(withoutSecrets(text), withoutSecrets(changed));
  const isMasked = patch !== "" && patch !== patchOf(text, changed);
  return { text: changed, patch, isMasked, notes: notesOn(found) };
}

interface Output {
  readonly plugin: Plugin;
  readonly table: Table;
  readonly path: readonly (string | number)[];
}

function tablesOf(outputs: Table, plugin: Plugin): Output[] {
  const value = outputs[plugin];
  if (isTable(value)) return [{ plugin, table: value, path: ["outputs", plugin] }];
  const many: readonly unknown[] = Array.isArray(value) ? value : [];
  return many.flatMap((table, i) =>
    isTable(table) ? [{ plugin, table, path: ["outputs", plugin, i] }] : [],
  );
}

function changeOutput({ plugin, table, path }: Output, inlet: string, edit: Edit): void {
  for (const key of REMOVED[plugin]) if (Object.hasOwn(table, key)) edit.remove(path, key);
  edit.set(path, "urls", `["${inlet}"]`, Object.hasOwn(table, "urls"));
  // Otherwise it asks for its database before it writes, which a lease may not.
  if (plugin === "influxdb" && table.skip_database_creation !== true)
    edit.set(path, "skip_database_creation", "true", Object.hasOwn(table, "skip_database_creation"));
}

function notesOn(outputs: readonly Output[]): string[] {
  const notes: string[] = [];
  if (outputs.some(({ table }) => Boolean(table.token) || Boolean(table.password)))
    notes.push("revoke the token in InfluxDB when nothing uses it any more");
  if (outputs.length > 1)
    notes.push(
      `${outputs.length} outputs write to the inlet now: take out those that were for another InfluxDB`,
    );
  if (outputs.some(({ plugin }) => plugin === "influxdb"))
    notes.push(
      "[[outputs.influxdb]] writes to a database: InfluxDB 2 needs a mapping of it to a bucket (DBRP)",
    );
  return notes;
}

/** Lines taken out, put in and replaced, of one text. */
class Edit {
  readonly #source: Source;
  readonly #findings: Findings;
  readonly #shape: readonly string[];
  readonly #locator: ReturnType<typeof locateKeys>;
  /** By the line's index: what stands there instead; more than one line where something is put in. */
  readonly #changes = new Map<number, readonly string[]>();

  constructor(source: Source, findings: Findings) {
    this.#source = source;
    this.#findings = findings;
    const shape = withoutVariables(source.text);
    this.#shape = shape.split(/\r?\n/);
    this.#locator = locateKeys(shape);
  }

  remove(path: Output["path"], key: string): void {
    const at = this.#lines(path, key);
    for (let i = at?.first ?? 0; at && i <= at.last; i++) this.#changes.set(i, []);
  }

  set(path: Output["path"], key: string, value: string, isThere: boolean): void {
    if (!isThere) return this.#insert(path, `  ${key} = ${value}`);
    const at = this.#lines(path, key);
    if (!at) return;
    const indent = /^\s*/.exec(this.#shape[at.first]!)![0];
    for (let i = at.first; i <= at.last; i++)
      this.#changes.set(i, i === at.first ? [`${indent}${key} = ${value}`] : []);
  }

  text(): string {
    const lines = this.#source.text.split("\n");
    // As the file has it: with a carriage return before each line's end, or without.
    const end = lines[0]?.endsWith("\r") ? "\r" : "";
    return lines
      .flatMap(
        (line, i) => this.#changes.get(i)?.map((made) => (made === line ? line : `${made}${end}`)) ?? [line],
      )
      .join("\n");
  }

  /** Below the table's header. */
  #insert(path: Output["path"], line: string): void {
    const at = this.#locator.lineOf(path) - 1;
    const header = this.#source.text.split("\n")[at] ?? "";
    if (!/^\s*\[\[?[^[\]]*\]\]?\s*(#.*)?$/.test(header)) return this.#refuse(at, path, line.trim());
    this.#changes.set(at, [...(this.#changes.get(at) ?? [header.replace(/\r$/, "")]), line]);
  }

  #lines(path: Output["path"], key: string): { first: number; last: number } | undefined {
    const first = this.#locator.lineOf([...path, key]) - 1;
    if (new RegExp(`^\\s*(?:${key}|"${key}"|'${key}')\\s*=`).test(this.#shape[first] ?? "")) {
      for (let last = first; last < Math.min(first + MAX_VALUE_LINES, this.#shape.length); last++) {
        // The value ends where what there is of it is TOML by itself.
        const text = this.#shape.slice(first, last + 1).join("\n");
        if (readDocument({ file: this.#source.file, text }, new Findings([]))) return { first, last };
      }
    }
    this.#refuse(first, path, key);
    return undefined;
  }

  #refuse(at: number, path: Output["path"], key: string): void {
    const text = `${path.slice(0, 2).join(".")}: ${key} is written in a form that is not edited here: change it by hand`;
    this.#findings.add({ file: this.#source.file, line: at + 1 }, text);
  }
}
