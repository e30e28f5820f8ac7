/**
 * import: configurations of other programs, text in, a culvert.toml or a changed text out. It opens no file
 * and knows nothing of the commands that call it.
 *
 * This file: YAML, and JSON with it, to a tree of plain values that know their lines. A configuration is data
 * that a stranger may have written: what makes YAML more than that (anchors, aliases, tags, merge keys,
 * several documents, directives) is refused by name and never followed.
 */
import { isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument, visit } from "yaml";
import { Findings, type Place } from "../config/finding.ts";
import type { Source } from "../config/toml-document.ts";

/** A node's configuration has a few kilobytes. */
export const MAX_NODE_FILE_CHARS = 64 * 1024;

export type NodeValue = NodeText | NodeList | NodeMap;

export interface NodeText {
  readonly kind: "text";
  readonly place: Place;
  /** As it is written, numbers too. */
  readonly text: string;
  readonly type: "text" | "number" | "boolean" | "nothing";
}

export interface NodeList {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly NodeValue[];
}

export interface NodeMap {
  readonly kind: "map";
  readonly place: Place;
  readonly entries: readonly NodeEntry[];
}

export interface NodeEntry {
  readonly key: string;
  readonly place: Place;
  readonly value: NodeValue;
}

/** @throws Fault `config.invalid`: a line for each finding, with file and line, and no value. */
export function readNodeFile({ file, text }: Source): NodeMap {
  const findings = new Findings([file]);
  if (text.length > MAX_NODE_FILE_CHARS) {
    findings.add({ file, line: 1 }, `the file is longer than ${MAX_NODE_FILE_CHARS} characters`);
    findings.throwIfAny();
  }
  const control = CONTROL.exec(text);
  if (control) {
    const line = text.slice(0, control.index).split("\n").length;
    findings.add({ file, line }, "holds a control or bidirectional character");
    findings.throwIfAny();
  }
  const lines = new LineCounter();
  const placeAt = (offset: number): Place => ({ file, line: Math.max(1, lines.linePos(offset).line) });
  const document = parseDocument<ParsedNode>(text, {
    lineCounter: lines,
    version: "1.2",
    schema: "core",
    strict: true,
    // Looked for below, in less than the square of the time.
    uniqueKeys: false,
    stringKeys: true,
    merge: false,
    // Its own messages quote the text, which may be secret.
    prettyErrors: false,
  });
  // Those that come after the first mostly come of it. Warnings are of tags, which are refused below.
  const [error] = document.errors;
  if (error) findings.add(placeAt(error.pos[0]), TROUBLE[error.code] ?? NOT_A_DOCUMENT);
  findings.throwIfAny();
  const { contents, directives } = document;
  if (directives?.yaml.explicit || Object.keys(directives?.tags ?? {}).length > 1)
    findings.add({ file, line: 1 }, "has a YAML directive, which is not taken");
  refuseTricks(document, placeAt, findings);
  findings.throwIfAny();
  if (contents === null || !isMap(contents) || contents.items.length === 0) {
    const what = contents === null ? "is empty" : "holds no keys at its top";
    findings.add({ file, line: 1 }, `${what}: a node's configuration is expected`);
    findings.throwIfAny();
  }
  const value = plainValue(contents as ParsedNode, placeAt);
  refuseUnfit(value, findings);
  findings.throwIfAny();
  return value as NodeMap;
}

/** All but the line's end and the tab; and what would make a line look like another (CVE-2021-42574). */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const NOT_A_DOCUMENT = "is not valid YAML or JSON; is it the whole file?";
const TROUBLE: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'a second document begins here ("---"): one node\'s configuration is one document',
  NON_STRING_KEY: "a key is no text",
  RESOURCE_EXHAUSTION: "is nested too deeply",
  TAB_AS_INDENT: "is indented with a tab, which YAML does not allow",
  TAG_RESOLVE_FAILED: "has a tag (!), which is not taken: write the value out",
};

function refuseTricks(
  document: Parameters<typeof visit>[0],
  placeAt: (offset: number) => Place,
  findings: Findings,
): void {
  const refuse = (node: { range?: readonly number[] | null }, what: string): void =>
    findings.add(placeAt(node.range?.[0] ?? 0), `has ${what}, which is not taken: write the value out`);
  visit(document, {
    Alias: (_, node) => refuse(node, "an alias (*)"),
    Value: (_, node) => {
      if (node.anchor !== undefined) refuse(node, "an anchor (&)");
      if (node.tag !== undefined) refuse(node, "a tag (!)");
    },
    Pair: (_, { key }) => {
      if (isScalar(key) && key.value === "<<") refuse(key, "a merge key (<<)");
    },
  });
}

/** What is known to have neither aliases nor keys that are no text. */
function plainValue(node: ParsedNode, placeAt: (offset: number) => Place): NodeValue {
  const place = placeAt(node.range[0]);
  if (isMap(node)) {
    const entries = node.items.map(({ key, value }) => {
      const at = placeAt(key.range[0]);
      const below = value ? plainValue(value, placeAt) : nothing(at);
      return { key: String(isScalar(key) ? key.value : ""), place: at, value: below };
    });
    return { kind: "map", place, entries };
  }
  if (isSeq(node)) return { kind: "list", place, items: node.items.map((item) => plainValue(item, placeAt)) };
  const { value, source } = node as { value?: unknown; source?: string };
  if (value === null || value === undefined) return nothing(place);
  const type = typeof value === "string" ? "text" : typeof value === "boolean" ? "boolean" : "number";
  return { kind: "text", place, type, text: type === "number" ? (source ?? String(value)) : String(value) };
}

function nothing(place: Place): NodeText {
  return { kind: "text", place, text: "", type: "nothing" };
}

/** Escapes can bring what the text itself may not have; a line's end is for the JSON of permissions alone. */
function refuseUnfit(value: NodeValue, findings: Findings): void {
  if (value.kind === "list") for (const item of value.items) refuseUnfit(item, findings);
  if (value.kind === "map") {
    const seen = new Set<string>();
    for (const { key, place, value: below } of value.entries) {
      if (seen.has(key)) findings.add(place, "a key is given for the second time");
      seen.add(key);
      if (CONTROL.test(key) || /\s/.test(key))
        findings.add(place, "a key holds white space or a control character");
      refuseUnfit(below, findings);
    }
  }
  if (value.kind === "text" && (CONTROL.test(value.text) || !value.text.isWellFormed()))
    findings.add(value.place, "holds a control or bidirectional character");
}
