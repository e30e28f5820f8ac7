/**
 * A bucket's name with a member's attributes in it: `site-{{ site }}`. What an attribute brings is
 * checked so that it stays a part of a name: it cannot reach InfluxDB's own buckets (`_monitoring`,
 * `_tasks`) where the config does not name one.
 */
import { Fault } from "../base/fault.ts";
import type { Attributes } from "../identity/attributes.ts";

export class Template {
  readonly text: string;
  /** Names of the attributes in it, each once; none for a plain name. */
  readonly attributes: readonly string[];
  /** Texts and attribute names in turn, beginning and ending with a text. */
  readonly #parts: readonly string[];

  /** `parseTemplate` makes one. */
  constructor(text: string, parts: readonly string[]) {
    this.text = text;
    this.attributes = [...new Set(parts.filter((_, i) => i % 2 === 1))];
    this.#parts = parts;
  }

  /** @throws Fault `policy.denied` for an attribute that is missing or that no part of a name can be made of. */
  fill(attributes: Attributes): string {
    return this.#parts.map((part, i) => (i % 2 === 0 ? part : valueFor(attributes, part))).join("");
  }
}

/** @throws Fault `policy.invalid` for braces that are no `{{ attribute }}`; with the column. */
export function parseTemplate(text: string): Template {
  const parts = text.split(PLACEHOLDER);
  let column = 1;
  for (const [i, part] of parts.entries()) {
    const brace = i % 2 === 0 ? part.search(/[{}]/) : -1;
    if (brace >= 0) {
      throw new Fault(
        "policy.invalid",
        `an attribute in a name is written {{ name }}, with a letter and up to 63 letters, digits, hyphens and underscores; these braces are something else (column ${column + brace})`,
      );
    }
    // Of a placeholder only the name is left: the next text begins where the placeholder has ended.
    column = i % 2 === 0 ? column + part.length : text.indexOf("}}", column) + 3;
  }
  if (parts.join("").trim() === "") throw new Fault("policy.invalid", "a name may not be empty");
  return new Template(text, parts);
}

const PLACEHOLDER = /\{\{[ \t]*([A-Za-z][A-Za-z0-9_-]{0,63})[ \t]*\}\}/;
const MAX_VALUE_CHARS = 128;
/**
 * Begins with a letter or digit, so that no name begins with `_` by it, and holds nothing that has a
 * meaning in a URL, in Flux or in a list of names.
 */
const VALUE = /^[A-Za-z0-9][A-Za-z0-9._ -]*$/;

function valueFor(attributes: Attributes, name: string): string {
  const value: unknown = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (typeof value !== "string" || value === "") {
    throw new Fault("policy.denied", `the member has no attribute "${name}"`);
  }
  if (value.length > MAX_VALUE_CHARS || !VALUE.test(value)) {
    throw new Fault(
      "policy.denied",
      `the member's attribute "${name}" cannot be part of a bucket name: it may hold up to ${MAX_VALUE_CHARS} letters, digits, dots, hyphens, underscores and spaces, and begins with a letter or digit`,
    );
  }
  return value;
}
