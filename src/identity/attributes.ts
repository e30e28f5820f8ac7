/**
 * The facts that an authority states about a member: `site = "berlin"`. Names and values are text, few
 * and short, so that a credential fits in a handshake and a policy over them ends soon.
 */
import { Fault } from "../base/fault.ts";

/** Without a prototype: no name means anything but what the authority said. */
export type Attributes = Readonly<Record<string, string>>;

export const MAX_ATTRIBUTES = 32;
export const MAX_ATTRIBUTE_VALUE_BYTES = 256;
/** As JSON: a credential holds them in this form. */
export const MAX_ATTRIBUTES_BYTES = 1_536;
/** Who may use the attributes of this name decides who is an authority: only a node's own authority gives it. */
export const AUTHORITY_ATTRIBUTE = "culvert-authority";
/** What an outlet is known by, where the config says nothing else. */
export const OUTLET_ATTRIBUTE = "influxdb-outlet";

/** Names that an outlet may take at a relay, with commas between them. */
export const RELAY_NAMES_ATTRIBUTE = "relay-names";

export const NO_ATTRIBUTES: Attributes = Object.freeze(Object.create(null) as Record<string, string>);

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const encoder = new TextEncoder();

/** @throws Fault `attribute.invalid` for anything but an object of few short texts; it names the attribute. */
export function parseAttributes(value: unknown): Attributes {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("attributes must be names with texts");
  const entries = Object.entries(value);
  if (entries.length > MAX_ATTRIBUTES) throw invalid(`more than ${MAX_ATTRIBUTES} attributes`);
  const attributes = Object.create(null) as Record<string, string>;
  for (const [name, text] of entries) {
    checkAttribute(name, text);
    attributes[name] = text as string;
  }
  if (bytesOf(JSON.stringify(attributes)) > MAX_ATTRIBUTES_BYTES)
    throw invalid(`the attributes take over ${MAX_ATTRIBUTES_BYTES} bytes`);
  return Object.freeze(attributes);
}

/** @throws Fault `attribute.invalid` */
export function checkAttribute(name: string, value: unknown): void {
  // The name may be anybody's text: it is shown only where it is harmless.
  if (!NAME.test(name) || name in Object.prototype) {
    throw invalid(
      "an attribute's name must be a letter and up to 63 letters, digits, hyphens and underscores",
    );
  }
  if (typeof value !== "string") throw invalid(`attribute "${name}" must be a text`);
  if (value.length > MAX_ATTRIBUTE_VALUE_BYTES || bytesOf(value) > MAX_ATTRIBUTE_VALUE_BYTES)
    throw invalid(`attribute "${name}" is longer than ${MAX_ATTRIBUTE_VALUE_BYTES} bytes`);
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value))
    throw invalid(`attribute "${name}" holds a control character`);
  if (!value.isWellFormed()) throw invalid(`attribute "${name}" is no text in Unicode`);
}

function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

function invalid(what: string): Fault {
  return new Fault("attribute.invalid", what);
}
