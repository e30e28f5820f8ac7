import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import type { Attributes } from "../../../src/identity/attributes.ts";
import { parseTemplate } from "../../../src/policy/template.ts";

function fill(text: string, attributes: Record<string, unknown>): string {
  return parseTemplate(text).fill(Object.assign(Object.create(null), attributes) as Attributes);
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return undefined;
}

describe("a name with a member's attributes in it", () => {
  it.each([
    ["metrics", "metrics"],
    ["site-{{ site }}", "site-berlin"],
    ["{{site}}", "berlin"],
    ["{{ a-b }}/{{site}}-{{ site }}", "1/berlin-berlin"],
    ["_{{ site }}", "_berlin"],
    ["_monitoring", "_monitoring"],
  ])("%s comes to %s", (text, expected) => {
    expect(fill(text, { site: "berlin", "a-b": "1" })).toBe(expected);
  });

  it("names its attributes, each once", () => {
    expect(parseTemplate("{{b}}-{{ a }}-{{b}}").attributes).toEqual(["b", "a"]);
    expect(parseTemplate("plain").attributes).toEqual([]);
  });

  it.each([
    ["{{ site"],
    ["site }}"],
    ["a{b"],
    ["{{ }}"],
    ["{{ a.b }}"],
    ["{{ 1a }}"],
    ["{{ a b }}"],
    ["{{ {{ a }} }}"],
    [""],
    ["  "],
  ])("refuses %j when the config is read", (text) =>
    expect(codeOf(() => parseTemplate(text))).toBe("policy.invalid"),
  );

  it.each([
    ["a{b", "column 2"],
    ["{{ a }} {{}}", "column 9"],
    ["ab{{x}}c}", "column 9"],
  ])("says where in %j the mistake is", (text, where) => {
    expect(() => parseTemplate(text)).toThrow(where);
  });

  it.each([
    ["missing", undefined],
    ["empty", ""],
    ["no text", 7],
    ["too long", "x".repeat(129)],
    ["a path", "../other"],
    ["of InfluxDB's own kind", "_monitoring"],
    ["a second placeholder", "{{ other }}"],
    ["two lines", "a\nb"],
    ["one line and its end", "a\n"],
    ["quoted", 'a"b'],
    ["a list", "a,b"],
    ["of another alphabet", "bérlin"],
    ["begun with a space", " a"],
  ])("denies the member whose attribute is %s", (_, site) => {
    expect(codeOf(() => fill("site-{{ site }}", { site }))).toBe("policy.denied");
  });

  it("T8 finds no attribute in what every object has", () => {
    expect(codeOf(() => parseTemplate("{{ constructor }}").fill({} as Attributes))).toBe("policy.denied");
  });
});
