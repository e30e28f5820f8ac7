/** An Ockam node configuration by its parts, from the tree of its file: known keys, each argument one text. */
import { type Findings, type Place, quoted } from "../config/finding.ts";
import { nearestName } from "../config/nearest-name.ts";
import type { NodeMap, NodeValue } from "./node-file.ts";
import { type Phrase, parsePhrase, readVariables, type Variables } from "./node-text.ts";
import {
  canonicalKey,
  NODE_KEYS,
  RECIPE_KEYS,
  RELAY_ARGUMENTS,
  RESOURCE_ARGUMENTS,
  RESOURCE_KINDS,
  type ResourceKind,
} from "./ockam-keys.ts";

export interface Argument {
  readonly place: Place;
  /** As the file has it, its variables too: for what is JSON. */
  readonly raw: string;
  readonly phrase: Phrase;
}

export interface Resource {
  /** Its key in the file or, of several of one kind, its name. */
  readonly name: string | undefined;
  readonly place: Place;
  readonly args: ReadonlyMap<string, Argument>;
}

export interface OckamNode {
  readonly settings: ReadonlyMap<string, Argument>;
  readonly variables: Variables;
  readonly relays: readonly Resource[];
  readonly resources: Readonly<Record<ResourceKind, readonly Resource[]>>;
  /** Keys without an equal whose value is not looked at. */
  readonly ignored: readonly { readonly key: string; readonly place: Place; readonly reason: string }[];
}

/** Adds a finding for each key that Ockam does not have, and each value of the wrong kind. */
export function readOckamNode(root: NodeMap, findings: Findings): OckamNode {
  const variables = variablesOf(root, findings);
  const reader = new NodeReader(variables, findings);
  const settings = new Map<string, Argument>();
  const ignored: OckamNode["ignored"][number][] = [];
  const relays: Resource[] = [];
  const resources = { "influxdb-inlet": [], "influxdb-outlet": [], "tcp-inlet": [], "tcp-outlet": [] } as {
    [K in ResourceKind]: Resource[];
  };
  const seen = new Set<string>();
  for (const { key, place, value } of root.entries) {
    const name = canonicalKey(key);
    const kind = RESOURCE_KINDS.find((known) => known === name);
    if (seen.has(name)) findings.add(place, `${keyText(key)} is given for the second time`);
    seen.add(name);
    if (kind) resources[kind].push(...reader.resources(kind, RESOURCE_ARGUMENTS[kind], value));
    else if (name === "relay") relays.push(...reader.resources("relay", RELAY_ARGUMENTS, value));
    else if (RECIPE_KEYS.includes(name))
      findings.add(place, `${quoted(key)} is of a recipe for several nodes: import one node's configuration`);
    else if (!Object.hasOwn(NODE_KEYS, name))
      reader.complain(key, place, [...Object.keys(NODE_KEYS), ...RESOURCE_KINDS]);
    else if (typeof NODE_KEYS[name] === "string") ignored.push({ key, place, reason: NODE_KEYS[name] });
    else if (name !== "variables" && name !== "version") {
      const argument = reader.argument(key, place, value);
      if (argument) settings.set(name, argument);
    }
  }
  return { settings, variables, relays, resources, ignored };
}

function variablesOf(root: NodeMap, findings: Findings): Variables {
  const given = root.entries.find(({ key }) => key === "variables");
  if (given === undefined) return new Map();
  const entries = given.value.kind === "map" ? given.value.entries : undefined;
  if (!entries) findings.add(given.place, '"variables" must be names with values');
  const texts = (entries ?? []).flatMap(({ key, place, value }) => {
    if (value.kind === "text") return [{ key, place, value }];
    findings.add(place, "a variable must be one text");
    return [];
  });
  return readVariables(texts, findings);
}

class NodeReader {
  readonly #variables: Variables;
  readonly #findings: Findings;

  constructor(variables: Variables, findings: Findings) {
    this.#variables = variables;
    this.#findings = findings;
  }

  /** A name, the arguments of one, several by their names, or a list of these. */
  resources(kind: string, known: Readonly<Record<string, unknown>>, value: NodeValue): Resource[] {
    if (value.kind === "list") {
      if (value.items.length === 0) this.#findings.add(value.place, `${quoted(kind)} is an empty list`);
      return value.items.flatMap((item) => {
        if (item.kind !== "list") return this.resources(kind, known, item);
        this.#findings.add(item.place, `${quoted(kind)} is a list within a list`);
        return [];
      });
    }
    if (value.kind === "text") {
      if (value.type === "text" && value.text !== "")
        return [{ name: value.text, place: value.place, args: new Map() }];
      this.#findings.add(value.place, `${quoted(kind)} must have arguments, or a name`);
      return [];
    }
    const named = value.entries.filter((entry) => entry.value.kind === "map");
    if (value.entries.length === 0) this.#findings.add(value.place, `${quoted(kind)} has no arguments`);
    else if (named.length === 0)
      return [{ name: undefined, place: value.place, args: this.#args(known, value) }];
    else if (named.length < value.entries.length) {
      const odd = value.entries.find((entry) => entry.value.kind !== "map")!;
      const text = `${keyText(odd.key)} stands beside names in ${quoted(kind)}, each of which has its own arguments`;
      this.#findings.add(odd.place, text);
    } else {
      return named.map(({ key, place, value: below }) => ({
        name: key,
        place,
        args: this.#args(known, below as NodeMap),
      }));
    }
    return [];
  }

  #args(known: Readonly<Record<string, unknown>>, map: NodeMap): Map<string, Argument> {
    const args = new Map<string, Argument>();
    for (const { key, place, value } of map.entries) {
      const name = key.replaceAll("_", "-");
      if (!Object.hasOwn(known, name)) this.complain(key, place, Object.keys(known));
      else if (args.has(name)) this.#findings.add(place, `${quoted(key)} is given for the second time`);
      else {
        const argument = this.argument(key, place, value);
        if (argument) args.set(name, argument);
      }
    }
    return args;
  }

  argument(key: string, place: Place, value: NodeValue): Argument | undefined {
    const isNothing = value.kind === "text" && value.type === "nothing";
    if (
      value.kind === "text" &&
      !isNothing &&
      (!value.text.includes("\n") || key.replaceAll("_", "-") === MANY_LINES)
    )
      return { place, raw: value.text, phrase: parsePhrase(value.text, this.#variables) };
    const form = value.kind === "text" ? "several lines" : `a ${value.kind}`;
    const what = isNothing ? "no value; is this the whole file?" : `${form} for a value`;
    this.#findings.add(place, `${quoted(key)} has ${what}`);
    return undefined;
  }

  complain(key: string, place: Place, known: readonly string[]): void {
    const near = nearestName(key, known);
    this.#findings.add(place, `${keyText(key)} is unknown${near ? `; did you mean ${quoted(near)}?` : ""}`);
  }
}

/** A slip of a comma makes a key of a secret: one that does not look like a key is not repeated. */
function keyText(key: string): string {
  return /^[A-Za-z_-]{1,32}$/.test(key) ? quoted(key) : "this key";
}

/** JSON, which may go over several lines. */
const MANY_LINES = "leased-token-permissions";
