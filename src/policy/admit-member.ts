/** Whom a service lets in, whatever kind of service it is. */
import { Fault } from "../base/fault.ts";
import type { Identifier } from "../identity/identifier.ts";
import type { Policy } from "./policy.ts";
import type { Subject } from "./subject.ts";

export interface AdmissionRules {
  /** Nodes that are let in whatever `allow` says. */
  readonly authorized: ReadonlySet<Identifier>;
  readonly allow: Policy;
}

/** @throws Fault `policy.denied` for one that is not welcome at the service, whatever it asks for. */
export function admitMember(subject: Subject, rules: AdmissionRules): void {
  if (rules.authorized.has(subject.identifier) || rules.allow.mayAllow(subject)) return;
  throw deniedBy(rules, subject);
}

export function deniedBy({ allow }: AdmissionRules, { identifier, isMember }: Subject): Fault {
  const who = isMember ? identifier : `${identifier}, who is no member and not among the authorized,`;
  return new Fault("policy.denied", `${who} is not allowed this by the service's policy: ${allow.text}`);
}
