/**
 * Bytes and JSON objects as base64url without padding (RFC 7515 §2), in exactly one spelling: what does
 * not encode to the very same text again is refused.
 */

export function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}

/** @returns undefined for padding, white space, another alphabet, or bits left over that are not zero. */
export function fromBase64url(text: string): Uint8Array | undefined {
  // The decoder skips what it does not know; encoding again tells.
  const bytes = Uint8Array.from(Buffer.from(text, "base64url"));
  return toBase64url(bytes) === text ? bytes : undefined;
}

export function toBase64urlJson(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/**
 * Comparing with what we would have written ourselves refuses, at every level, members given twice, of
 * which `JSON.parse` shows only the last; and white space, other escapes, and text that is no UTF-8.
 * @param text already limited in length.
 * @param members exactly these, each once.
 * @returns undefined for any other object, and for what is none.
 */
export function fromBase64urlJson(
  text: string,
  members: readonly string[],
): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (!hasExactly(value, members) || toBase64urlJson(value) !== text) return undefined;
    return value;
  } catch {
    // The error would quote the text, which may be a ticket's.
    return undefined;
  }
}

/** True for an object with these members and no other; a list has numbers for names. */
export function hasExactly(value: unknown, members: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  return Object.keys(value).length === members.length && members.every((name) => Object.hasOwn(value, name));
}
