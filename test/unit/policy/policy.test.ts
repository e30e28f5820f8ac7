import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import type { Attributes } from "../../../src/identity/attributes.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";
import { MAX_POLICY_CHARS, parsePolicy, type RequestFacts } from "../../../src/policy/policy.ts";
import type { Subject } from "../../../src/policy/subject.ts";

const WRITE: RequestFacts = { method: "POST", path: "/api/v2/write", bucket: "metrics" };

function subject(attributes: Record<string, unknown>, isMember = true): Subject {
  const facts = Object.assign(Object.create(null), attributes) as Attributes;
  return { identifier: "a".repeat(52) as Identifier, attributes: facts, isMember };
}

function allows(text: string, attributes: Record<string, unknown>, request = WRITE): boolean {
  return parsePolicy(text).allows(subject(attributes), request);
}

function mistake(text: string): Fault {
  try {
    parsePolicy(text);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown;
  }
  throw new Error(`no fault of ${text}`);
}

describe("an attribute's name as a policy", () => {
  it("holds for a member whose attribute is exactly true", () => {
    expect(allows("influxdb-inlet", { "influxdb-inlet": "true" })).toBe(true);
  });

  it.each([["yes"], ["True"], [" true"], [""], [true], [undefined]])("does not hold for %j", (value) => {
    expect(allows("influxdb-inlet", { "influxdb-inlet": value })).toBe(false);
  });

  it("does not hold for a member without the attribute", () => {
    expect(allows("influxdb-inlet", { other: "true" })).toBe(false);
  });

  it("T8 takes no property that every object has for an attribute", () => {
    for (const name of ["constructor", "toString", "hasOwnProperty"]) {
      const bare: Subject = { ...subject({}), attributes: { [name]: "x" } };
      expect(parsePolicy(name).allows({ ...bare, attributes: {} as Attributes }, WRITE)).toBe(false);
    }
  });

  it("does not look at the request", () => {
    expect(parsePolicy("influxdb-inlet").asksRequest).toBe(false);
  });
});

describe("an expression as a policy", () => {
  it.each([
    [`subject.site == "berlin"`, true],
    [`subject.site != "berlin"`, false],
    [`subject.site in ["paris", "berlin"]`, true],
    [`subject["a-b"] == "1"`, true],
    [`has(subject.site) && !has(subject.other)`, true],
    [`"site" in subject`, true],
    [`subject.site.startsWith("ber") && subject.site.endsWith("lin")`, true],
    [`subject.site.contains("x")`, false],
    [`size(subject.site) > 3 && subject.site.size() < 10`, true],
    [`subject.site < "c" ? true : false`, true],
    [`["a", subject.site][1] == "berlin"`, true],
    [`request.method == "POST" && request.path.startsWith("/api/v2/")`, true],
    [`request.bucket == "site-" + subject.site`, false],
    [`request.bucket in ["metrics", "traces"]`, true],
    ["true", true],
    ["false", false],
  ])("%s comes to %s", (text, expected) => {
    expect(allows(text, { site: "berlin", "a-b": "1" })).toBe(expected);
  });

  it("denies by default whoever is no member, whatever it says", () => {
    const policy = parsePolicy("true");
    expect(policy.allows(subject({ a: "true" }, false), WRITE)).toBe(false);
    expect(policy.mayAllow(subject({ a: "true" }, false))).toBe(false);
  });

  it("denies where an attribute that it asks for is missing, with != too", () => {
    expect(allows(`subject.site != "berlin"`, {})).toBe(false);
  });

  it("an error on one side does not reach past what the other side decides", () => {
    expect(allows(`subject.missing == "x" || subject.site == "berlin"`, { site: "berlin" })).toBe(true);
    expect(allows(`!(subject.missing == "x" && subject.site == "paris")`, { site: "berlin" })).toBe(true);
  });

  it.each([[true], [1], [null], [["a"]], [{ a: 1 }]])(
    "T8 denies where an attribute is %j instead of a text",
    (value) => {
      expect(allows(`subject.site == "a" || subject.site != "a"`, { site: value })).toBe(false);
    },
  );

  it.each([["__proto__"], ["constructor"], ["toString"]])(
    "T8 finds no attribute %s in a member without attributes",
    (name) => {
      expect(allows(`subject["${name}"] != "x"`, {})).toBe(false);
      expect(allows(`"${name}" in subject`, {})).toBe(false);
    },
  );

  it("T8 denies and does not throw whatever it is given for attributes", () => {
    for (const attributes of [
      undefined,
      null,
      7,
      "text",
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error("no");
          },
        },
      ),
    ]) {
      const odd = { ...subject({}), attributes: attributes as unknown as Attributes };
      for (const text of [`subject.site == "a"`, `size(subject) > 0`, "site"]) {
        expect(parsePolicy(text).allows(odd, WRITE)).toBe(false);
        expect(parsePolicy(text).mayAllow(odd)).toBe(false);
      }
    }
  });

  it("says whether it looks at the request", () => {
    expect(parsePolicy(`subject.site == "request"`).asksRequest).toBe(false);
    expect(parsePolicy(`subject.site == "a" && !(request.method in ["GET"])`).asksRequest).toBe(true);
  });
});

describe("a policy that does not compile", () => {
  it.each([
    ["an unknown field of the request", `subject.a == "1" && request.metod == "GET"`, "column 29"],
    ["an unknown field asked for with has", "has(request.metod)", "column 13"],
    ["a field of the request by its text", `request["method"] == "GET"`, "column 1"],
    ["a name that is no attribute's way of writing", `subject.a == "1" || site == "b"`, "column 21"],
    ["an attribute's hyphen", `subject.a-b == "1"`, "column 1"],
    ["something that is no rule", "subject.site", "column 1"],
    ["a number in place of a text", "subject.a == 1", "column 1"],
    ["an end too soon", `subject.a ==`, "column 13"],
    ["one sign for two", `subject.a = "1"`, "column 11"],
    ["nothing", "", "column 1"],
    ["a mistake in the second line", `true\n  && site == "x"`, "line 2, column 6"],
    ["a value that is no text or whole number", "1.5 == 1.5", "column 1"],
  ])("refuses %s and says where", (_, text, where) => {
    const { code, message } = mistake(text);
    expect(code).toBe("policy.invalid");
    expect(message).toContain(`(${where})`);
  });

  it.each([
    [`subject.site.matches("^(a+)+$")`, "column 14"],
    [`[1, 2].all(x, x > 0)`, "column 8"],
    [`["a"].exists(x, x == subject.a)`, "column 7"],
    [`["a"].exists_one(x, x == "a")`, "column 7"],
    [`["a"].map(x, x) == ["a"]`, "column 7"],
    [`["a"].filter(x, x == "a") == []`, "column 7"],
    [`cel.bind(x, "a", x == "a")`, "column 5"],
    [`dyn(subject).site == "a"`, "column 1"],
    [`int(subject.n) > 3`, "column 1"],
    [`1 - 1 == 0`, "column 1"],
    [`2 * 2 == 4`, "column 1"],
    [`{"a": "b"}.a == "b"`, "column 1"],
    [`b"a" == b"a"`, "column 1"],
    [`timestamp("2020-01-01T00:00:00Z") == timestamp("2020-01-01T00:00:00Z")`, "column 1"],
  ])("T8 refuses %s, which is not among what a policy may use", (text, where) => {
    const { code, message } = mistake(text);
    expect(code).toBe("policy.invalid");
    expect(message).toContain(`(${where})`);
  });

  it.each([
    ["too long", `subject.a == "${"x".repeat(MAX_POLICY_CHARS)}"`],
    ["too many parts", "true".concat("||true".repeat(165))],
    ["nested too deep", `${"(".repeat(200)}true${")".repeat(200)}`],
    ["a thousand negations", `${"!".repeat(1_000)}true`],
    ["a long list", `"a" in [${"1,".repeat(300)}1]`],
  ])("T8 refuses one that is %s", (_, text) => {
    expect(mistake(text).code).toBe("policy.invalid");
  });
});

describe("what may be allowed before the request is known", () => {
  const lacking = { site: "berlin" };

  it.each([
    ["the subject alone decides for it", `subject.site == "berlin"`, true],
    ["the subject alone decides against it", `subject.site == "paris"`, false],
    ["the subject lacks an attribute", `subject.missing == "x"`, false],
    ["the request decides", `request.method == "GET"`, true],
    ["the subject has decided against it", `request.method == "GET" && subject.site == "paris"`, false],
    ["the subject lacks what is needed as well", `request.method == "GET" && subject.missing == "x"`, false],
    [
      "the subject lacks what the request can do without",
      `request.method == "GET" || subject.missing == "x"`,
      true,
    ],
    [
      "the request decides which of two holds",
      `request.method == "GET" ? false : subject.site == "berlin"`,
      true,
    ],
    ["neither of two holds", `request.method == "GET" ? false : subject.site == "paris"`, false],
    ["an empty request would be an error", `["x", "y"][size(request.bucket)] == "y"`, true],
  ])("where %s", (_, text, expected) => {
    expect(parsePolicy(text).mayAllow(subject(lacking))).toBe(expected);
  });
});
