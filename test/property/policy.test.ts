import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import type { Attributes } from "../../src/identity/attributes.ts";
import type { Identifier } from "../../src/identity/identifier.ts";
import { type Policy, parsePolicy, type RequestFacts } from "../../src/policy/policy.ts";
import type { Subject } from "../../src/policy/subject.ts";
import { parseTemplate } from "../../src/policy/template.ts";

const IDENTIFIER = "a".repeat(52) as Identifier;

function member(attributes: Record<string, unknown>): Subject {
  return {
    identifier: IDENTIFIER,
    attributes: Object.assign(Object.create(null), attributes) as Attributes,
    isMember: true,
  };
}

/** @returns undefined for a text that is none; anything but a Fault of that is an error. */
function policyOf(text: string): Policy | undefined {
  try {
    return parsePolicy(text);
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "policy.invalid") return undefined;
    throw thrown;
  }
}

const word = fc.constantFrom(
  ..."subject request has size in true false null && || ! ( ) [ ] , . ? : == != < <= > + - * / % { } \" ' \\ \n".split(
    " ",
  ),
  ..."subject.site request.path request.method matches startsWith all exists map __proto__ constructor dyn type".split(
    " ",
  ),
  ..."'a' \"b\" r'x' b'y' 1 -1 1u 0x7f 1e308 99999999999999999999 cel.bind optional x é \u0000 😀".split(" "),
);
const policyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.array(word, { maxLength: 40 }).map((words) => words.join(" ")),
  fc.array(word, { maxLength: 20 }).map((words) => words.join("")),
);
const attributeName = fc.constantFrom("site", "a", "b", "__proto__", "constructor", "toString", "x");
const attributes = fc.dictionary(
  attributeName,
  fc.oneof(fc.string({ maxLength: 256 }), fc.constantFrom("true", "a"), fc.anything()),
);
const requestFacts: fc.Arbitrary<RequestFacts> = fc.record({
  method: fc.string({ maxLength: 10 }),
  path: fc.string({ maxLength: 200 }),
  bucket: fc.string({ maxLength: 50 }),
});

describe("any text as a policy", () => {
  it("T8 comes to a policy or to policy.invalid, and a policy to true or false", () => {
    fc.assert(
      fc.property(policyText, attributes, requestFacts, (text, facts, request) => {
        const policy = policyOf(text);
        if (!policy) return;
        const allowed = policy.allows(member(facts), request);
        expect(typeof allowed).toBe("boolean");
        expect(typeof policy.mayAllow(member(facts))).toBe("boolean");
        if (allowed) expect(policy.mayAllow(member(facts))).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  it("T8 the largest policies over the largest values end soon", () => {
    const wide = { site: "a".repeat(256) };
    const request = { method: "GET", path: "a".repeat(8_192), bucket: "a".repeat(256) };
    const worst = [
      `request.path.contains("${"a".repeat(990)}b")`,
      Array.from({ length: 30 }, () => "request.path.contains('aaaab')").join("||"),
      `size(${Array.from({ length: 60 }, () => "request.path").join("+")}) < 0`,
    ].map((text) => parsePolicy(text));
    const started = performance.now();
    for (const policy of worst) {
      for (let i = 0; i < 100; i++) expect(policy.allows(member(wide), request)).toBe(false);
    }
    // Ten milliseconds each, on a busy machine, would be far too slow already.
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

/** Each comes to true, false or an error for sure, by the subject below alone. */
const subjectAtoms = [`subject.yes == "1"`, `subject.no == "1"`, `subject.missing == "1"`];
const SUBJECT = member({ yes: "1", no: "0" });
/** Each comes to true, false or an error by the length of one field, and no two by the same one. */
const requestAtoms = ["method", "path", "bucket"].map((field) => `["1", "0"][size(request.${field})] == "1"`);
const LENGTHS = ["", "x", "xx"];
const everyRequest: readonly RequestFacts[] = LENGTHS.flatMap((method) =>
  LENGTHS.flatMap((path) => LENGTHS.map((bucket) => ({ method, path, bucket }))),
);

/** A tree over the leaves; the number of a request's atom may come up once. */
const tree = fc.letrec<{ node: string; leaf: string }>((tie) => ({
  leaf: fc.constantFrom(...subjectAtoms, ...requestAtoms),
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc
      .tuple(tie("node"), fc.constantFrom("&&", "||"), tie("node"))
      .map(([l, op, r]) => `(${l}) ${op} (${r})`),
    tie("node").map((inner) => `!(${inner})`),
    fc.tuple(tie("node"), tie("node"), tie("node")).map(([c, a, b]) => `((${c}) ? (${a}) : (${b}))`),
  ),
})).node;

function atomsIn(text: string): number[] {
  return requestAtoms.map((atom) => text.split(atom).length - 1);
}

describe("what may be allowed before the request is known", () => {
  it("is never less than what some request is allowed", () => {
    fc.assert(
      fc.property(tree, (text) => {
        const policy = policyOf(text);
        fc.pre(policy !== undefined);
        if (everyRequest.some((request) => policy.allows(SUBJECT, request))) {
          expect(policy.mayAllow(SUBJECT)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("is exactly that where no two parts look at the same thing of the request", () => {
    fc.assert(
      fc.property(tree, (text) => {
        fc.pre(atomsIn(text).every((times) => times <= 1));
        const policy = policyOf(text);
        fc.pre(policy !== undefined);
        expect(policy.mayAllow(SUBJECT)).toBe(
          everyRequest.some((request) => policy.allows(SUBJECT, request)),
        );
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("any text as a name with attributes", () => {
  it("comes to a template or to policy.invalid; filled, to a name or to policy.denied", () => {
    const text = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc
        .array(fc.constantFrom("{{", "}}", " ", "site", "_", "-", "a", "{", "{{ site }}"), { maxLength: 8 })
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, attributes, (name, facts) => {
        try {
          const template = parseTemplate(name);
          const filled = template.fill(member(facts).attributes);
          if (template.attributes.length === 0) expect(filled).toBe(name);
          expect(filled.startsWith("_") && !name.startsWith("_")).toBe(false);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Fault);
          expect(["policy.invalid", "policy.denied"]).toContain((thrown as Fault).code);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
