/**
 * The rule that lets a member use something: `allow = "influxdb-inlet"`, an attribute that must be
 * "true", or a CEL expression over `subject.*` and `request.*`. Compiled once. What it does not say yes
 * to is denied, an error included: an attribute that the member does not have is one.
 */
import { Fault } from "../base/fault.ts";
import type { Attributes } from "../identity/attributes.ts";
import { compileExpression, type Rule } from "./expression.ts";
import type { Subject } from "./subject.ts";

export const MAX_POLICY_CHARS = 1_024;

/** A request as a policy sees it. */
export interface RequestFacts {
  readonly method: string;
  /** Canonical, without the query. */
  readonly path: string;
  /** Its name, or empty where the request names none. */
  readonly bucket: string;
}

export class Policy {
  readonly text: string;
  /** Whether it looks at `request.*`: then it has to be asked for every request. */
  readonly asksRequest: boolean;
  readonly #rule: Rule;

  /** `parsePolicy` makes one. */
  constructor(text: string, rule: Rule) {
    this.text = text;
    this.asksRequest = rule.asksRequest;
    this.#rule = rule;
  }

  /**
   * For what is no request, as a lease, and before the request is looked at.
   * @returns false only when no request of this subject could be allowed. Never throws.
   */
  mayAllow(subject: Subject): boolean {
    return decided(subject, (attributes) => this.#rule.mayAllow(attributes));
  }

  /** Never throws. */
  allows(subject: Subject, request: RequestFacts): boolean {
    return decided(subject, (attributes) => this.#rule.allows(attributes, request));
  }
}

/** @throws Fault `policy.invalid`; its message says what is wrong, at which column, and what to write instead. */
export function parsePolicy(text: string): Policy {
  if (text.length > MAX_POLICY_CHARS) {
    throw new Fault(
      "policy.invalid",
      `a policy may have ${MAX_POLICY_CHARS} characters, this one has ${text.length}: say it with an attribute`,
    );
  }
  const bare = text.trim();
  const isName = ATTRIBUTE_NAME.test(bare) && !EXPRESSION_WORDS.has(bare);
  return new Policy(text, isName ? attributeRule(bare) : compileExpression(text));
}

/** As `identity/attributes.ts` has it. */
const ATTRIBUTE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
/** These alone are expressions: `true` lets in every member. */
const EXPRESSION_WORDS = new Set(["true", "false", "null", "in", "subject", "request"]);

function attributeRule(name: string): Rule {
  const holds = (attributes: Attributes) => Object.hasOwn(attributes, name) && attributes[name] === "true";
  return { asksRequest: false, allows: holds, mayAllow: holds };
}

function decided(subject: Subject, rule: (attributes: Attributes) => boolean): boolean {
  if (subject.isMember !== true) return false;
  try {
    return rule(subject.attributes) === true;
  } catch {
    // An error is no yes.
    return false;
  }
}
