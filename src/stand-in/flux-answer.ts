/** Runs a parsed query over samples and writes the annotated CSV that InfluxDB answers. */
import { FluxError, type FluxQuery, type Step } from "./flux.ts";
import type { FieldValue } from "./line-protocol.ts";
import type { Sample, Series } from "./point-store.ts";

interface Row {
  readonly timeNs: bigint | undefined;
  readonly value: FieldValue;
}

interface Table {
  /** The columns that all rows share: the group key, without the bounds. Undefined once grouped away. */
  readonly key: Readonly<Record<string, string>> | undefined;
  readonly rows: readonly Row[];
}

/**
 * Runs the steps and writes the tables that come out.
 * @param annotations which of `datatype`, `group` and `default` lines to write.
 */
export function answerFlux(
  query: FluxQuery,
  samples: readonly Sample[],
  annotations: readonly string[] = [],
): string {
  let tables = tablesOf(samples);
  for (const step of query.steps) {
    if (step.kind !== "group") tables = tables.map(({ key, rows }) => ({ key, rows: reduce(step, rows) }));
    else if (tables.length > 0) tables = [{ key: undefined, rows: tables.flatMap((table) => table.rows) }];
  }
  const bounds = { _start: formatTime(query.startNs), _stop: formatTime(query.stopNs) };
  let previous = "";
  const parts = tables.map((table, index) => {
    const { head, rows, schema } = formatTable(table, index, bounds, annotations);
    const isSame = schema === previous;
    const gap = index > 0 && !isSame ? "\r\n" : "";
    previous = schema;
    return gap + (isSame ? "" : head) + rows;
  });
  return `${parts.join("")}\r\n`;
}

/** One table a series, in the order of series keys. */
function tablesOf(samples: readonly Sample[]): Table[] {
  const bySeries = new Map<Series, Row[]>();
  for (const { series, timeNs, value } of samples) {
    const rows = bySeries.get(series);
    if (rows === undefined) bySeries.set(series, [{ timeNs, value }]);
    else rows.push({ timeNs, value });
  }
  const order = ({ measurement, tags, field }: Series): string => JSON.stringify([measurement, tags, field]);
  return [...bySeries]
    .sort(([a], [b]) => (order(a) < order(b) ? -1 : 1))
    .map(([{ field, measurement, tags }, rows]) => ({
      key: { _field: field, _measurement: measurement, ...Object.fromEntries(tags) },
      rows,
    }));
}

function reduce(step: Exclude<Step, { kind: "group" }>, rows: readonly Row[]): readonly Row[] {
  switch (step.kind) {
    case "count":
      return [{ timeNs: undefined, value: BigInt(rows.length) }];
    case "sum":
      return [{ timeNs: undefined, value: rows.map((row) => row.value).reduce(add) }];
    case "last":
      return rows.slice(-1);
    case "first":
      return rows.slice(0, 1);
    case "limit":
      return rows.slice(0, step.n);
  }
}

function add(a: FieldValue, b: FieldValue): FieldValue {
  if (typeof a === "bigint" && typeof b === "bigint") return a + b;
  if (typeof a === "number" && typeof b === "number") return a + b;
  throw new FluxError("unsupported input type for sum aggregate");
}

const VALUE_TYPES = { number: "double", bigint: "long", boolean: "boolean", string: "string" } as const;

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isKey: boolean;
  readonly cell: (row: Row) => string;
}

function formatTable(
  { key, rows }: Table,
  index: number,
  bounds: Readonly<Record<string, string>>,
  annotations: readonly string[],
): { head: string; rows: string; schema: string } {
  const first = rows[0];
  const constant =
    (type: string) =>
    (entry: [string, string]): Column => ({
      name: entry[0],
      type,
      isKey: true,
      cell: () => entry[1],
    });
  const valueType = VALUE_TYPES[typeof first?.value as keyof typeof VALUE_TYPES];
  const timed: Column[] =
    first?.timeNs === undefined
      ? []
      : [{ name: "_time", type: DATE, isKey: false, cell: (row) => formatTime(row.timeNs ?? 0n) }];
  const columns: Column[] = [
    ...(key === undefined ? [] : Object.entries(bounds).map(constant(DATE))),
    ...timed,
    { name: "_value", type: valueType, isKey: false, cell: (row) => String(row.value) },
    ...Object.entries(key ?? {}).map(constant("string")),
  ];
  const line = (cells: readonly string[]): string => `${cells.map(csvCell).join(",")}\r\n`;
  const annotation: Readonly<Record<string, readonly string[]>> = {
    datatype: ["#datatype", "string", "long", ...columns.map(({ type }) => type)],
    group: ["#group", "false", "false", ...columns.map(({ isKey }) => String(isKey))],
    default: ["#default", "_result", "", ...columns.map(() => "")],
  };
  const result = annotations.includes("default") ? "" : "_result";
  return {
    // Tables of the same names and types go under one head.
    schema: JSON.stringify(columns.map(({ name, type }) => [name, type])),
    head: [
      ...annotations.map((name) => line(annotation[name] ?? [])),
      line(["", "result", "table", ...columns.map(({ name }) => name)]),
    ].join(""),
    rows: rows
      .map((row) => line(["", result, String(index), ...columns.map(({ cell }) => cell(row))]))
      .join(""),
  };
}

const DATE = "dateTime:RFC3339";

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** RFC 3339 with the nanoseconds that there are. */
function formatTime(timeNs: bigint): string {
  const seconds = timeNs >= 0n ? timeNs / 1_000_000_000n : -((-timeNs + 999_999_999n) / 1_000_000_000n);
  const rest = (timeNs - seconds * 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}${rest === "" ? "" : `.${rest}`}Z`;
}
