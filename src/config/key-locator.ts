/**
 * Finds the line of a key in a TOML text that is known to be valid: the parser tells where an error is,
 * never where a value was. It walks the text and builds a tree of places in the shape of the values.
 *
 * A place that it cannot find is answered with that of the nearest table around it, never with a guess.
 */

/** Keys, and the index of an item of an array. */
export type Path = readonly (string | number)[];

export interface KeyLocator {
  /** The line, from 1. */
  lineOf(path: Path): number;
}

interface Spot {
  line: number;
  readonly children: Map<string, Spot>;
  readonly items: Spot[];
}

export function locateKeys(text: string): KeyLocator {
  const root = spot(1);
  try {
    new Walk(text).document(root);
  } catch (cause) {
    // The walk met a form that it does not know: what it has found so far stands.
    if (!(cause instanceof Lost)) throw cause;
  }
  return {
    lineOf(path) {
      let at = root;
      for (const step of path) {
        const next = typeof step === "number" ? at.items[step] : at.children.get(step);
        if (!next) break;
        at = next;
      }
      return at.line;
    },
  };
}

class Lost extends Error {}

function spot(line: number): Spot {
  return { line, children: new Map(), items: [] };
}

class Walk {
  readonly #text: string;
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  document(root: Spot): void {
    let table = root;
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#peek() === "[") table = this.#header(root);
      else this.#assignment(table);
    }
  }

  #header(root: Spot): Spot {
    const line = this.#line;
    const many = this.#text.startsWith("[[", this.#at);
    this.#expect(many ? "[[" : "[");
    const keys = this.#keys();
    this.#expect(many ? "]]" : "]");
    let at = root;
    for (const key of keys) at = this.#child(at.items.at(-1) ?? at, key, line);
    if (many) {
      at.items.push(spot(line));
      return at.items.at(-1)!;
    }
    // A table that so far was only implied by [table.below].
    at.line = line;
    return at;
  }

  #assignment(table: Spot): void {
    const line = this.#line;
    let at = table;
    for (const key of this.#keys()) at = this.#child(at, key, line);
    this.#expect("=");
    this.#value(at);
  }

  #value(into: Spot): void {
    this.#skipSpace();
    const first = this.#peek();
    if (first === '"' || first === "'") this.#string();
    else if (first === "[") {
      this.#list("]", () => {
        into.items.push(spot(this.#line));
        this.#value(into.items.at(-1)!);
      });
    } else if (first === "{") this.#list("}", () => this.#assignment(into));
    else this.#match(/[^,\]}#\n]+/y);
  }

  #list(close: string, item: () => void): void {
    this.#at++;
    for (this.#skipBlank(); this.#peek() !== close; this.#skipBlank()) {
      if (this.#peek() === ",") this.#at++;
      else item();
    }
    this.#at++;
  }

  #keys(): string[] {
    const keys: string[] = [];
    do {
      if (keys.length > 0) this.#at++;
      this.#skipSpace();
      const first = this.#peek();
      keys.push(first === '"' || first === "'" ? this.#string() : this.#match(/[^\s.=\]"']+/y));
      this.#skipSpace();
    } while (this.#peek() === ".");
    return keys;
  }

  /** @returns the text inside, with JSON's escapes undone where these are all it has. */
  #string(): string {
    const quote = this.#peek();
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const start = this.#at;
    const close = long ? quote.repeat(3) : quote;
    for (this.#at += close.length; !this.#text.startsWith(close, this.#at); this.#step()) {
      if (this.#at >= this.#text.length) throw new Lost();
      if (quote === '"' && this.#peek() === "\\") this.#at++;
    }
    this.#at += close.length;
    // Up to two quotes may stand right before the closing three (TOML 1.0, "String").
    for (let more = 0; long && more < 2 && this.#peek() === quote; more++) this.#at++;
    const literal = this.#text.slice(start, this.#at);
    if (quote === '"' && literal.includes("\\") && !long) {
      try {
        return JSON.parse(literal) as string;
      } catch {
        // TOML's own escapes (\e, \x.., \U........): left as written, so the key is not found by name.
      }
    }
    return literal.slice(close.length, -close.length);
  }

  #child(of: Spot, key: string, line: number): Spot {
    const known = of.children.get(key);
    if (known) return known;
    const made = spot(line);
    of.children.set(key, made);
    return made;
  }

  #skipSpace(): void {
    while (this.#peek() === " " || this.#peek() === "\t") this.#at++;
  }

  #skipBlank(): void {
    for (; BLANK.has(this.#peek()); this.#step()) {
      if (this.#peek() !== "#") continue;
      const end = this.#text.indexOf("\n", this.#at);
      this.#at = end === -1 ? this.#text.length : end;
    }
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #step(): void {
    if (this.#peek() === "\n") this.#line++;
    this.#at++;
  }

  #expect(token: string): void {
    this.#skipSpace();
    if (!this.#text.startsWith(token, this.#at)) throw new Lost();
    this.#at += token.length;
  }

  /** @param pattern sticky, never across a line's end. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw new Lost();
    this.#at += found.length;
    return found;
  }
}

/** A byte order mark at the start, white space, and the start of a comment. */
const BLANK = new Set(["\ufeff", " ", "\t", "\r", "\n", "#"]);
