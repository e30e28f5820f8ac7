/** Heads of HTTP/1.1 messages, as far as opening a WebSocket needs them: strictly read, and never with a body. */

export interface HttpHead {
  /** The three parts of the first line: method, target and version, or version, status and reason. */
  readonly start: readonly [string, string, string];
  /** In the order they came in. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** A load balancer adds a few hundred bytes. */
export const MAX_HEAD_BYTES = 8_192;
const MAX_FIELDS = 100;
/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible characters, and spaces between them; whatever lies above ASCII is let by in a value. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Collects one head out of chunks of any size. */
export class HeadReader {
  #bytes = Buffer.alloc(0);

  /**
   * @returns undefined while it is not whole; with what came after it, which is the caller's.
   * @throws Error for what is no head, or too long to be one.
   */
  push(chunk: Uint8Array): { readonly head: HttpHead; readonly rest: Uint8Array } | undefined {
    const from = Math.max(0, this.#bytes.length - 3);
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const end = this.#bytes.indexOf("\r\n\r\n", from, "latin1");
    if ((end < 0 ? this.#bytes.length : end + 4) > MAX_HEAD_BYTES) throw new Error("its head is too long");
    if (end < 0) return undefined;
    const head = parseHead(this.#bytes.toString("latin1", 0, end));
    return { head, rest: this.#bytes.subarray(end + 4) };
  }
}

/** @throws Error */
function parseHead(text: string): HttpHead {
  const [first = "", ...lines] = text.split("\r\n");
  const parts = /^([^ ]+) ([^ ]+)(?: ([^\r\n]*))?$/.exec(first);
  if (!parts || !VALUE.test(first)) throw new Error("its first line is not that of HTTP");
  if (lines.length > MAX_FIELDS) throw new Error("it has too many header fields");
  const fields = lines.map((line) => {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "")];
    // A line that begins with white space (obs-fold) has no token in front of its colon either.
    if (colon < 1 || !TOKEN.test(name) || !VALUE.test(value)) throw new Error("it has a broken header field");
    return [name.toLowerCase(), value] as const;
  });
  return { start: [parts[1]!, parts[2]!, parts[3] ?? ""], fields };
}

/** @returns the values of every field of that name. */
export function fieldValues({ fields }: HttpHead, name: string): string[] {
  return fields.filter(([one]) => one === name).map(([, value]) => value);
}

/** The only field of that name; undefined where there is none, or more than one. */
export function onlyField(head: HttpHead, name: string): string | undefined {
  const values = fieldValues(head, name);
  return values.length === 1 ? values[0] : undefined;
}

/** Whether a list such as that of `Connection` has the token, in whatever case. */
export function listHas(head: HttpHead, name: string, token: string): boolean {
  return fieldValues(head, name)
    .flatMap((value) => value.split(","))
    .some((one) => one.trim().toLowerCase() === token);
}
