/** The part of the admin socket that speaks for the authority: tickets, members, backup. */
import { isAbsolute } from "node:path";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Authority } from "../authority/authority.ts";
import type { MemberDetails } from "../authority/member-record.ts";
import { Fault } from "../base/fault.ts";
import { checkAttribute, parseAttributes } from "../identity/attributes.ts";
import { type Identifier, parseIdentifier } from "../identity/identifier.ts";

export interface AdminAuthority {
  readonly authority: Pick<Authority, ForOperators>;
  /** What the node knows of a member beside it: plain data with no secret in it. */
  leasesOf?(identifier: Identifier): readonly unknown[];
  /** Its channels that are up now. */
  liveOf?(identifier: Identifier): readonly unknown[];
}

type ForOperators =
  | ("createTicket" | "tickets" | "revokeTicket")
  | ("members" | "member" | "setAttributes" | "revoke" | "unlock")
  | "backup";

const ticketBody = z.strictObject({
  attributes: z.unknown(),
  expiresInMs: z.int().positive(),
  uses: z.int().positive(),
  service: z.string().min(1).max(64),
});
const changeBody = z.strictObject({ attributes: z.unknown() });
const backupBody = z.strictObject({ file: z.string().refine(isAbsolute, "must be an absolute path") });

export function authorityRoutes(admin: AdminAuthority): Hono {
  const { authority } = admin;
  const app = new Hono();

  app.post("/tickets", async (context) => {
    const { attributes, ...wish } = await bodyOf(context, ticketBody);
    const made = authority.createTicket({ ...wish, attributes: parseAttributes(attributes) });
    const { ticketId, text, expiresAtMs } = made;
    return context.json({ ticketId, ticket: text.reveal(), expiresAtMs });
  });
  app.get("/tickets", (context) => context.json(authority.tickets()));
  app.delete("/tickets/:id", (context) => context.json(authority.revokeTicket(context.req.param("id"))));

  app.get("/members", (context) => {
    const isLive = ({ identifier }: MemberDetails) => (admin.liveOf?.(identifier).length ?? 0) > 0;
    return context.json(authority.members().map((member) => ({ ...member, live: isLive(member) })));
  });
  app.get("/members/:id", (context) => {
    const member = authority.member(identifierIn(context));
    const leases = admin.leasesOf?.(member.identifier) ?? [];
    const live = admin.liveOf?.(member.identifier) ?? [];
    return context.json({ ...member, leases, live });
  });
  app.patch("/members/:id", async (context) => {
    const { attributes } = await bodyOf(context, changeBody);
    return context.json(authority.setAttributes(identifierIn(context), parseChange(attributes)));
  });
  app.delete("/members/:id", (context) => context.json(authority.revoke(identifierIn(context))));
  app.post("/members/:id/unlock", (context) => context.json(authority.unlock(identifierIn(context))));

  app.post("/authority/backup", async (context) => {
    const { file } = await bodyOf(context, backupBody);
    authority.backup(file);
    return context.json({ file });
  });
  return app;
}

/** @throws Fault `request.malformed` that says where the body is not as it should be. */
async function bodyOf<T>(context: Context, form: z.ZodType<T>): Promise<T> {
  let body: unknown;
  try {
    body = await context.req.json();
  } catch (cause) {
    throw new Fault("request.malformed", "the body is not JSON", { cause });
  }
  const { success, data, error } = form.safeParse(body);
  if (success) return data;
  const why = error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw new Fault("request.malformed", why.join("; "), { cause: error });
}

function identifierIn(context: Context): Identifier {
  return parseIdentifier(context.req.param("id") ?? "");
}

/** Null takes an attribute away; what is not named stays. @throws Fault `attribute.invalid` */
function parseChange(value: unknown): Record<string, string | undefined> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Fault("attribute.invalid", "attributes must be names with texts, or null to take one away");
  const change = Object.create(null) as Record<string, string | undefined>;
  for (const [name, text] of Object.entries(value)) {
    checkAttribute(name, text ?? "");
    change[name] = text === null ? undefined : text;
  }
  return change;
}
