// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the config's own syntax here
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { parseConfig } from "../../src/config/config.ts";
import { locateKeys } from "../../src/config/key-locator.ts";
import { sampleConfig } from "../../src/config/sample.ts";
import { substitute } from "../../src/config/substitution.ts";
import { inletText, outletText } from "../unit/config/fixture.ts";

/** A config, or the one fault with a line for each finding; anything else fails the property. */
function parsesOrFaults(text: string, env: Record<string, string> = {}): void {
  try {
    parseConfig([{ file: "f.toml", text }], env);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Fault);
    const { code, message } = thrown as Fault;
    expect(code).toBe("config.invalid");
    const lines = text.split("\n").length;
    for (const line of message.split("\n")) {
      const number = /^f\.toml:(\d+): ./.exec(line)?.[1];
      if (number === undefined) expect(line).toMatch(/^and \d+ more findings$/);
      else expect(Number(number)).toBeLessThanOrEqual(lines);
    }
  }
  expect(Object.keys(Object.prototype)).toEqual([]);
}

const base = `${inletText}\n${outletText.replace("[channel]\n", "").replace(/^listen/m, "# listen")}`;

describe("any text as a config", () => {
  it("is a config or findings", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => parsesOrFaults(text)));
  });

  it("is a config or findings when it is made of TOML's pieces", () => {
    const piece = fc.constantFrom(
      ..."[ ] [[ ]] { } = . , # \n \r\n \" ' \"\"\" ''' \\ __proto__ agent channel enroll authority inlets influxdb outlets".split(
        " ",
      ),
      ..."permissions listen token authorized constructor 1 1.5 true inf 1979-05-27 ${A} @{env:A} \u0000 \ufeff".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => parsesOrFaults(pieces.join(" "))),
      { numRuns: 500 },
    );
  });

  it("is a config or findings when a good one is damaged", () => {
    const damage = fc.tuple(fc.nat(base.length), fc.nat(20), fc.string({ unit: "binary", maxLength: 5 }));
    fc.assert(
      fc.property(damage, ([at, cut, put]) => parsesOrFaults(base.slice(0, at) + put + base.slice(at + cut))),
      { numRuns: 500 },
    );
  });

  it("is a config or findings with any value at any key", () => {
    const keys = [...sampleConfig().matchAll(/^ *(?:# )?(\w+) = /gm)].map((match) => match[1] ?? "");
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.boolean());
    const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.constant({}));
    fc.assert(
      fc.property(
        fc.constantFrom("agent", "channel", "enroll", "authority", "[inlets.influxdb]", "[outlets.influxdb]"),
        fc.constantFrom(...keys),
        value,
        (table, key, given) => {
          // JSON is TOML but for objects, which only the empty one is here, and the odd exponent.
          parsesOrFaults(`[${table}]\n${key} = ${JSON.stringify(given)}\n`);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("takes nothing but a value from the environment", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (hostile) => {
        const text = `${inletText}service = "\${V}"\n`;
        parsesOrFaults(text, { V: hostile });
        expect(substitute("<${V}>", { V: hostile })).toEqual({ text: `<${hostile}>`, fromEnvironment: true });
      }),
    );
  });
});

describe("any text as a policy or a template", () => {
  const written = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc
      .array(
        fc.constantFrom(
          ..."subject request . site [ ] ( ) { } {{ }} == && || ! ? : in ' \" a-b 1 true $".split(" "),
        ),
        {
          maxLength: 40,
        },
      )
      .map((pieces) => pieces.join(" ")),
  );

  it("T8 is a config or findings", () => {
    fc.assert(
      fc.property(written, written, written, (allow, bucket, permission) => {
        const toml = (text: string) => JSON.stringify(text.replaceAll("\u007f", ""));
        parsesOrFaults(
          `${outletText.replace("organization", `allow = ${toml(allow)}\norganization`).replace('"metrics"', toml(bucket))}` +
            `allow = ${toml(permission)}\n`,
        );
      }),
      { numRuns: 500 },
    );
  });

  it("shows nothing of what came out of the environment", () => {
    const text = outletText
      .replace("organization", 'allow = "${V}"\norganization')
      .replace('"metrics"', '"${V}"');
    fc.assert(
      fc.property(written, (hostile) => {
        try {
          parseConfig([{ file: "f.toml", text }], { V: `hunter2 ${hostile}` });
        } catch (thrown) {
          expect((thrown as Fault).message).not.toContain("hunter2");
        }
      }),
    );
  });
});

describe("the line of a key", () => {
  it("is right whatever values, comments and blank lines stand before it", () => {
    const noise = fc.constantFrom(
      "",
      '# [x] = "',
      'a = "]"',
      "a = '\"'",
      'a = """\n[t]\nk = 1\n\\""""""',
      "a = '''\n[t]\n\\'''",
      "a = [\n 1, # ]\n 2 ]",
      "a = { b = [ { c = '}' } ] }",
      'a."b.c" . d = 1',
      "[n]",
      "[[n]]",
      "[[n.m]]",
      "a = 1979-05-27 07:32:00Z # x",
    );
    fc.assert(
      fc.property(fc.array(noise), fc.array(noise), (before, between) => {
        const text = [...before, "[[t.u]]", ...between.filter((line) => !line.startsWith("[")), "k = 1"].join(
          "\n",
        );
        const line = text.split("\n").length;
        expect(locateKeys(text).lineOf(["t", "u", 0, "k"])).toBe(line);
      }),
    );
  });
});
