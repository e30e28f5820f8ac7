import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import {
  MAX_ATTRIBUTE_VALUE_BYTES,
  MAX_ATTRIBUTES,
  MAX_ATTRIBUTES_BYTES,
  NO_ATTRIBUTES,
  parseAttributes,
} from "../../../src/identity/attributes.ts";

function codeOf(value: unknown): string {
  try {
    parseAttributes(value);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return "accepted";
}

describe("attributes", () => {
  it("are names with texts", () => {
    const given = { site: "berlin", "influxdb-inlet": "true", A_1: "", place: "Köln, 3. Stock" };
    expect({ ...parseAttributes(given) }).toEqual(given);
  });

  it("T8 have no prototype, and cannot be changed", () => {
    for (const attributes of [parseAttributes({}), parseAttributes({ site: "x" }), NO_ATTRIBUTES]) {
      expect(Object.getPrototypeOf(attributes)).toBeNull();
      expect(attributes.constructor).toBeUndefined();
      expect(Object.isFrozen(attributes)).toBe(true);
    }
  });

  it.each(['{"__proto__":"x"}', '{"__proto__":{"admin":"true"}}', '{"site":"x","__proto__":null}'])(
    "T8 are refused with a prototype: %s",
    (json) => {
      expect(codeOf(JSON.parse(json))).toBe("attribute.invalid");
      expect(({} as { admin?: string }).admin).toBeUndefined();
    },
  );

  it.each(Object.getOwnPropertyNames(Object.prototype))("T8 are refused with the name %s", (name) => {
    expect(codeOf(JSON.parse(`{"${name}":"x"}`))).toBe("attribute.invalid");
  });

  it.each(["", "1a", "-a", "_a", "a b", "a.b", "a\n", "ä", "a'", 'a"', "{{a}}", "a".repeat(65)])(
    "T8 are refused with the name %j",
    (name) => {
      expect(codeOf({ [name]: "x" })).toBe("attribute.invalid");
    },
  );

  it.each(
    [undefined, null, true, 1, "site", [], ["site"], [["site", "x"]], () => "x"].map((value) => ({ value })),
  )("T8 are not made of $value", ({ value }) => {
    expect(codeOf(value)).toBe("attribute.invalid");
  });

  it.each([undefined, null, true, 1, {}, ["x"], { toString: "x" }].map((value) => ({ value })))(
    "T8 have no value $value",
    ({ value }) => {
      expect(codeOf({ site: value })).toBe("attribute.invalid");
    },
  );

  it.each(["\0", "\n", "\r", "\t", "\u001b[31m", "\u007f", "\u0085", "\u009b", "\u2028", "\u2029"])(
    "are refused with the control character %j",
    (character) => {
      expect(codeOf({ site: `a${character}b` })).toBe("attribute.invalid");
    },
  );

  it.each(["\ud800", "\udc00", "a\udfffb", "\udc00\ud800"])("are refused with half a letter: %j", (value) => {
    expect(codeOf({ site: value })).toBe("attribute.invalid");
  });

  it("have values of at most so many bytes, however many letters they are", () => {
    expect(codeOf({ site: "x".repeat(MAX_ATTRIBUTE_VALUE_BYTES) })).toBe("accepted");
    expect(codeOf({ site: "x".repeat(MAX_ATTRIBUTE_VALUE_BYTES + 1) })).toBe("attribute.invalid");
    expect(codeOf({ site: "ü".repeat(MAX_ATTRIBUTE_VALUE_BYTES / 2) })).toBe("accepted");
    expect(codeOf({ site: "ü".repeat(MAX_ATTRIBUTE_VALUE_BYTES / 2 + 1) })).toBe("attribute.invalid");
    expect(codeOf({ site: "x".repeat(1_000_000) })).toBe("attribute.invalid");
  });

  it("have names of at most 64 letters", () => {
    expect(codeOf({ ["a".repeat(64)]: "x" })).toBe("accepted");
  });

  it("are so many at most", () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, ""]));
    expect(codeOf(many(MAX_ATTRIBUTES))).toBe("accepted");
    expect(codeOf(many(MAX_ATTRIBUTES + 1))).toBe("attribute.invalid");
  });

  it.each(["x", '"', "\\", "ü"])("take so many bytes at most, as JSON, of %s", (filling) => {
    const value = filling.repeat(100);
    const given: Record<string, string> = {};
    const bytes = () => Buffer.byteLength(JSON.stringify(given));
    for (let i = 0; bytes() <= MAX_ATTRIBUTES_BYTES; i++) {
      expect(codeOf(given)).toBe("accepted");
      given[`a${i}`] = value;
    }
    expect(codeOf(given)).toBe("attribute.invalid");
  });
});
