/** Tells the story: numbered steps, aligned facts, and what was checked. Plain text; colours if asked for. */

export interface ToldStep {
  readonly title: string;
  readonly facts: Record<string, string>;
  readonly checks: { readonly what: string; readonly ok: boolean }[];
}

export interface NarratorOptions {
  readonly steps: number;
  readonly color: boolean;
  readonly write: (line: string) => void;
  /** Shows a line that the next one replaces; absent where nobody watches. */
  readonly live?: (line: string) => void;
}

/** What was told did not happen. */
export class NotAsTold extends Error {}

const LABEL_CHARS = 11;
const INDENT = "     ";

export class Narrator {
  readonly told: ToldStep[] = [];
  readonly #options: NarratorOptions;

  constructor(options: NarratorOptions) {
    this.#options = options;
  }

  title(text: string): void {
    this.#options.write(this.#styled("bold", text));
  }

  step(title: string): void {
    this.told.push({ title, facts: {}, checks: [] });
    const number = `${this.told.length}/${this.#options.steps}`;
    this.#options.write(
      `\n${this.#styled("dim", number.padEnd(INDENT.length))}${this.#styled("bold", title)}`,
    );
  }

  /** Why it is so, or what to look at. */
  explain(text: string): void {
    this.#options.write(INDENT + text);
  }

  fact(label: string, value: string): void {
    const step = this.told.at(-1);
    if (step) step.facts[label] = value;
    this.row(label, value);
  }

  row(label: string, value: string): void {
    this.#options.write(`${INDENT}${this.#styled("dim", label.padEnd(LABEL_CHARS))} ${value}`);
  }

  /** @throws NotAsTold when it is not so. */
  check(what: string, ok: boolean): void {
    this.told.at(-1)?.checks.push({ what, ok });
    const verdict = ok ? this.#styled("green", "ok") : this.#styled("red", "FAILED");
    this.#options.write(`${INDENT}${verdict}${ok ? " " : ""}${" ".repeat(ok ? LABEL_CHARS - 2 : 1)}${what}`);
    if (!ok) throw new NotAsTold(what);
  }

  live(text: string): void {
    this.#options.live?.(text && `${INDENT}${this.#styled("dim", text)}`);
  }

  line(text = ""): void {
    this.#options.write(text);
  }

  #styled(style: keyof typeof STYLES, text: string): string {
    return this.#options.color ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
  }
}

const STYLES = { bold: 1, dim: 2, green: 32, red: 31 } as const;
