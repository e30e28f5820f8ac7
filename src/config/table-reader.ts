/** One table of the config by its schema entry: known keys alone, each read, defaults filled in. */
import { type Findings, type Place, Problem, quoted } from "./finding.ts";
import type { Path } from "./key-locator.ts";
import { nearestName } from "./nearest-name.ts";
import { header, type KeyEntry, propertyName, type TableConfig, type TableEntry } from "./schema-entry.ts";
import { isTable, type Table, type TomlDocument } from "./toml-document.ts";
import { readValue, type ValueContext } from "./value-reader.ts";

/** Where a table is written. */
export interface Occurrence {
  readonly document: TomlDocument;
  readonly path: Path;
  readonly table: Table;
}

/** A table that a finding can point at. */
export interface PlacedTable {
  readonly entry: TableEntry;
  /** Whether its header is in any file. */
  readonly isWritten: boolean;
  /** The line of a key where it is written, else of the table's header. */
  place(key?: string): Place;
  /** Whether a key is written, rather than left at its default. */
  has(key: string): boolean;
}

/** A table that has been read. */
export interface ReadTable<T extends TableEntry> extends PlacedTable {
  /** A property is absent when it was written and found wrong, so that it is not complained of twice. */
  readonly values: Partial<TableConfig<T>>;
}

export interface ReadContext extends ValueContext {
  readonly findings: Findings;
}

/**
 * @param occurrences the one place of a `[[table]]`, or every place of a `[table]`: one a file, each with
 * keys of its own.
 * @param nowhere the place of a table that is written in no file.
 */
export function readTable<T extends TableEntry>(
  entry: T,
  occurrences: readonly Occurrence[],
  nowhere: Place,
  context: ReadContext,
): ReadTable<T> {
  const { findings } = context;
  const values: Record<string, unknown> = {};
  const places = new Map<string, () => Place>();
  const firstPlace = (): Place => occurrences[0]?.document.place(occurrences[0].path) ?? nowhere;
  const placeOf = (key = ""): Place => places.get(key)?.() ?? firstPlace();

  for (const { document, path, table } of occurrences) {
    for (const key of Object.keys(table)) {
      const place = (): Place => document.place([...path, key]);
      const first = places.get(key);
      if (!Object.hasOwn(entry.keys, key) && !Object.hasOwn(entry.tables, key)) {
        findings.add(place(), `${header(entry)} key ${quoted(key)} is unknown${hint(key, entry)}`);
      } else if (first) {
        const { file, line } = first();
        findings.add(place(), `${header(entry)} key ${quoted(key)} is already set in ${file}:${line}`);
      } else places.set(key, place);
    }
  }

  for (const [key, keyEntry] of Object.entries(entry.keys)) {
    const written = occurrences.find(({ table }) => Object.hasOwn(table, key));
    const property = propertyName(key, keyEntry);
    if (written) {
      const value = readKey(key, keyEntry, written, entry, context);
      if (!(value instanceof Problem)) values[property] = value;
    } else if (keyEntry.required === true && (occurrences.length > 0 || !entry.optional)) {
      findings.add(firstPlace(), `${header(entry)} key ${quoted(key)} is missing`);
    } else values[property] = defaultValue(keyEntry);
  }

  for (const [key, below] of Object.entries(entry.tables)) {
    const lists = occurrences.map((occurrence) => tablesBelow(key, below, occurrence, findings));
    const isReplaced = below.insteadOfKey !== undefined && places.has(below.insteadOfKey);
    if (!isReplaced && lists.every((list) => list?.length === 0)) {
      findings.add(placeOf(key), `${header(entry)} has no ${header(below)}`);
    }
    values[key] = lists
      .flatMap((list) => list ?? [])
      .map((occurrence) => readTable(below, [occurrence], nowhere, context).values);
  }

  return {
    // The one place where the schema's entries become the types that were derived from them.
    values: values as Partial<TableConfig<T>>,
    entry,
    isWritten: occurrences.length > 0,
    place: placeOf,
    has: (key) => places.has(key),
  };
}

/** The `[[tables]]` that stand under a key; undefined, and a finding, for anything else there. */
export function tablesBelow(
  key: string,
  entry: TableEntry,
  { document, path, table }: Occurrence,
  findings: Findings,
): Occurrence[] | undefined {
  const found = Object.hasOwn(table, key) ? table[key] : [];
  if (Array.isArray(found) && found.every(isTable)) {
    return found.map((item, index) => ({ document, path: [...path, key, index], table: item }));
  }
  findings.add(
    document.place([...path, key]),
    `${quoted(entry.path)} must be tables, each with the header ${header(entry)}`,
  );
  return undefined;
}

function readKey(
  key: string,
  entry: KeyEntry,
  { document, path, table }: Occurrence,
  tableEntry: TableEntry,
  context: ReadContext,
): unknown {
  const complain = (problem: Problem, ...item: number[]): Problem => {
    const which = item.length > 0 && (table[key] as unknown[]).length > 1 ? ` item ${item[0]! + 1}` : "";
    const place = document.place([...path, key, ...item]);
    context.findings.add(place, `${header(tableEntry)} key ${quoted(key)}${which} ${problem.text}`);
    return problem;
  };
  const written = table[key];
  if (!entry.list) {
    const value = readValue(entry, written, context);
    return value instanceof Problem ? complain(value) : value;
  }
  if (!Array.isArray(written)) return complain(new Problem('must be a list, as in ["...", "..."]'));
  if (written.length === 0 && entry.required === true) return complain(new Problem("is empty"));
  const values = written.map((item, index) => {
    const value = readValue(entry, item, context);
    return value instanceof Problem ? complain(value, index) : value;
  });
  return values.find((value) => value instanceof Problem) ?? values;
}

/** A default takes nothing from outside. */
const NO_CONTEXT: ValueContext = { env: {}, stores: new Map() };

function defaultValue(entry: KeyEntry): unknown {
  if (entry.default === undefined) return undefined;
  if (Array.isArray(entry.default)) return entry.default.map((item) => readValue(entry, item, NO_CONTEXT));
  return readValue(entry, entry.default, NO_CONTEXT);
}

function hint(key: string, entry: TableEntry): string {
  const nearest = nearestName(key, [...Object.keys(entry.keys), ...Object.keys(entry.tables)]);
  return nearest ? `; did you mean ${quoted(nearest)}?` : "";
}
