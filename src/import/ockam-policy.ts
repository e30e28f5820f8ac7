/**
 * Ockam's policies to culvert's. Two forms: names with `and`, `or`, `not` (a name stands for the attribute
 * that is "true"), and expressions such as `(and (= subject.site "berlin") subject.ok)`. What cannot be said
 * here becomes undefined, and never a rule that lets in more.
 */

/** Deeper ones are nobody's policy. */
const MAX_DEPTH = 32;

/** @returns a policy for `allow`; undefined where it has no equal. */
export function culvertPolicy(text: string): string | undefined {
  const tokens = text.match(/"[^"\\]*"|[()]|[^\s()"]+|\S/g) ?? [];
  const prefix = /^\(\s*(?:=|!=|and|or|not|exists\?)\s/.test(text.trim());
  try {
    const reader = new Reader(tokens);
    const rule = prefix ? reader.expression(0, false) : reader.alternatives(0, false);
    if (!reader.isAtEnd()) return undefined;
    return rule;
  } catch (cause) {
    if (cause instanceof NoEqual) return undefined;
    throw cause;
  }
}

class NoEqual extends Error {}

class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  isAtEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  /** `a and b or not c`: `not` binds closest, then `and`. */
  alternatives(depth: number, negated: boolean): string {
    return this.#chain(
      "or",
      "||",
      () => this.#chain("and", "&&", () => this.#operand(depth, negated), depth),
      depth,
    );
  }

  #chain(word: string, operator: string, part: () => string, depth: number): string {
    if (depth > MAX_DEPTH) throw new NoEqual();
    const parts = [part()];
    while (this.#peek() === word) {
      this.#at++;
      parts.push(part());
    }
    return parts.length === 1 ? parts[0]! : `(${parts.join(` ${operator} `)})`;
  }

  #operand(depth: number, negated: boolean): string {
    if (depth > MAX_DEPTH) throw new NoEqual();
    const token = this.#next();
    if (token === "not") return `!(${this.#operand(depth + 1, !negated)})`;
    if (token === "(") {
      const inner = this.alternatives(depth + 1, negated);
      this.#expect(")");
      return inner;
    }
    // Alone it needs no more than its name.
    if (this.#tokens.length === 1 && ATTRIBUTE.test(token) && !WORDS.has(token)) return token;
    if (token === "true" || token === "false") return token;
    if (WORDS.has(token)) throw new NoEqual();
    return equality(token, '"true"', negated);
  }

  /** `(= subject.site "berlin")`, `(and A B …)`, `(or A B …)`, `(not A)`, `(exists? subject.site)`. */
  expression(depth: number, negated: boolean): string {
    if (depth > MAX_DEPTH) throw new NoEqual();
    this.#expect("(");
    const operator = this.#next();
    const rule = this.#operation(operator, depth, negated);
    this.#expect(")");
    return rule;
  }

  #operation(operator: string, depth: number, negated: boolean): string {
    if (operator === "not") return `!(${this.expression(depth + 1, !negated)})`;
    if (operator === "and" || operator === "or") {
      const parts: string[] = [];
      while (this.#peek() === "(") parts.push(this.expression(depth + 1, negated));
      if (parts.length < 2) throw new NoEqual();
      return `(${parts.join(operator === "and" ? " && " : " || ")})`;
    }
    const name = /^subject\.(.+)$/.exec(this.#next())?.[1];
    if (name === undefined) throw new NoEqual();
    if (operator === "exists?") return `${inQuotes(attribute(name))} in subject`;
    const value = this.#next();
    // Attributes are texts here: a number in Ockam would be another rule.
    if (!/^"[^"\\]*"$/.test(value) || (operator !== "=" && operator !== "!=")) throw new NoEqual();
    return operator === "=" ? equality(name, value, negated) : `!(${equality(name, value, !negated)})`;
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new NoEqual();
    return token;
  }

  #expect(token: string): void {
    if (this.#next() !== token) throw new NoEqual();
  }
}

/** As `identity/attributes.ts` has it; Ockam's may hold dots besides. */
const ATTRIBUTE = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const WORDS: ReadonlySet<string> = new Set(["and", "or", "not", "in", "null", "subject", "request"]);

function attribute(name: string): string {
  if (!ATTRIBUTE.test(name)) throw new NoEqual();
  return name;
}

/**
 * Below a `not`, an attribute that is missing stays an error, which denies: whoever has no attribute must not
 * get in by lacking it.
 */
function equality(name: string, value: string, negated: boolean): string {
  const key = inQuotes(attribute(name));
  const equal = `subject[${key}] == ${inQuotes(value.slice(1, -1))}`;
  return negated ? equal : `(${key} in subject && ${equal})`;
}

/** In the quotes that a text in TOML need not escape, where they fit. */
function inQuotes(text: string): string {
  return text.includes("'") ? `"${text}"` : `'${text}'`;
}
