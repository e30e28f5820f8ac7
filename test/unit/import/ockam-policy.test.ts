import { describe, expect, it } from "vitest";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import { culvertPolicy } from "../../../src/import/ockam-policy.ts";
import { parsePolicy } from "../../../src/policy/policy.ts";

/** Whether a member with these attributes, each "true" or as given, is let in. */
function allows(ockam: string, attributes: Record<string, string>): boolean {
  const subject = { isMember: true as const, identifier: "i", attributes: parseAttributes(attributes) };
  return parsePolicy(culvertPolicy(ockam)!).mayAllow(subject as never);
}

describe("a policy of Ockam's", () => {
  it.each([
    ["a", { a: "true" }, true],
    ["a", { a: "false" }, false],
    ["a", {}, false],
    ["a-b", { "a-b": "true" }, true],
    ["a and b", { a: "true", b: "true" }, true],
    ["a and b", { a: "true" }, false],
    ["a or b", { b: "true" }, true],
    ["a or b", {}, false],
    ["a or b and c", { a: "true" }, true],
    ["(a or b) and c", { a: "true" }, false],
    ["not a", { a: "false" }, true],
    ["not a", { a: "true" }, false],
    ["a and not b", { a: "true", b: "false" }, true],
    ["not (not a)", { a: "true" }, true],
    ["true", {}, true],
    ["false", { a: "true" }, false],
    ['(= subject.site "berlin")', { site: "berlin" }, true],
    ['(= subject.site "berlin")', { site: "paris" }, false],
    ['(!= subject.site "berlin")', { site: "paris" }, true],
    ['(and (= subject.a "x") (or (= subject.b "y") (= subject.c "z")))', { a: "x", c: "z" }, true],
    ['(not (= subject.a "x"))', { a: "y" }, true],
    ["(exists? subject.a)", { a: "anything" }, true],
    ["(exists? subject.a)", {}, false],
    [`(= subject.a "it's")`, { a: "it's" }, true],
  ])("means the same here: %s with %j", (policy, attributes, expected) => {
    expect(allows(policy, attributes)).toBe(expected);
  });

  it("lets nobody in for an attribute that is missing below a not", () => {
    expect(allows("not a", {})).toBe(false);
    expect(allows("b and not a", { b: "true" })).toBe(false);
    expect(allows('(!= subject.site "berlin")', {})).toBe(false);
  });

  it.each([
    '(member? "a" subject.groups)',
    '(= resource.version "1")',
    "(= subject.level 3)",
    '(if (= subject.a "1") true false)',
    '(< subject.a "1")',
    "team.ops",
    "a and",
    "a b",
    "(a",
    "a)",
    "and",
    "",
    '(= subject.a "x") extra',
    `${"(".repeat(100)}a${")".repeat(100)}`,
    `${"not ".repeat(100)}a`,
    '(= subject.a "x\\" || true || \\"")',
    "a || true",
    "subject",
  ])("that has no equal is told apart: %s", (policy) => {
    expect(culvertPolicy(policy)).toBeUndefined();
  });
});
