/**
 * A secret text (a token, a password) that cannot be printed by accident: string conversion, JSON,
 * `console.log` and Node's inspector all show `[secret]`. Only `reveal()` gives the text.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Call it only on the line that puts it on the wire. */
  reveal(): string {
    return this.#text;
  }

  /** Compares without telling, by the time it takes, how many leading characters agree. */
  equals(other: string): boolean {
    const a = encoder.encode(this.#text);
    const b = encoder.encode(other);
    let difference = a.length ^ b.length;
    for (let i = 0; i < b.length; i++) difference |= (a[i % Math.max(a.length, 1)] ?? 0) ^ b[i]!;
    return difference === 0;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[secret]";
  }
}

const encoder = new TextEncoder();
