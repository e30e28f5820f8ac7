/**
 * The printed form of a ticket, whatever it says:
 *
 *     culvert-ticket-1 . payload . checksum
 *
 *     payload    base64url of a JSON object
 *     checksum   the first 8 characters of base64url(SHA-256("culvert ticket checksum v1\0" || all before it))
 *
 * Every version keeps the three parts and the checksum, so that a slip is told from a newer ticket.
 */
import { Fault } from "../base/fault.ts";
import { Secret } from "../base/secret.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import { fromBase64urlJson, toBase64url, toBase64urlJson } from "./base64url.ts";

export const MAX_TICKET_CHARACTERS = 4 * 1024;
export const TICKET_PREFIX = "culvert-ticket-1.";
const CHECKSUM_CHARACTERS = 8;

export function printTicket(content: object, provider: CryptoProvider): Secret {
  const body = `${TICKET_PREFIX}${toBase64urlJson(content)}.`;
  return new Secret(body + checksumOf(body, provider));
}

/**
 * White space around a pasted text is left out. The checksum comes before anything else.
 * @returns an object with these members, of whatever types; undefined for any other content.
 * @throws Fault `ticket.malformed`, which says whether the text is mistyped, cut short or of a newer
 *   culvert. It never quotes the text, which is or was meant to be a secret.
 */
export function readTicketText(
  pasted: string,
  members: readonly string[],
  provider: CryptoProvider,
): Record<string, unknown> | undefined {
  const text = pasted.trim();
  if (text.length > MAX_TICKET_CHARACTERS) throw malformed("this is far too long for a ticket");
  const checksumAt = text.lastIndexOf(".") + 1;
  if (text.slice(checksumAt) !== checksumOf(text.slice(0, checksumAt), provider)) {
    const isWhole = /^[^.]+\.[^.]+\.[^.]{8}$/.test(text);
    throw malformed(
      `this ticket is mistyped${isWhole ? "" : " or cut short"}: its checksum does not fit; copy it again, one line from "${TICKET_PREFIX}" to its end`,
    );
  }
  if (!text.startsWith(TICKET_PREFIX)) throw malformed("this ticket is of a newer culvert: update this one");
  return fromBase64urlJson(text.slice(TICKET_PREFIX.length, checksumAt - 1), members);
}

function checksumOf(body: string, provider: CryptoProvider): string {
  return toBase64url(provider.sha256(DOMAIN, encoder.encode(body))).slice(0, CHECKSUM_CHARACTERS);
}

function malformed(what: string): Fault {
  return new Fault("ticket.malformed", what);
}

const encoder = new TextEncoder();
const DOMAIN = encoder.encode("culvert ticket checksum v1\0");
