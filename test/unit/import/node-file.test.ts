import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { MAX_NODE_FILE_CHARS, readNodeFile } from "../../../src/import/node-file.ts";
import { importOckamNode } from "../../../src/import/ockam-import.ts";

/** What is said of a text that is refused. */
function refusal(
  text: string,
  read: (source: { file: string; text: string }) => unknown = readNodeFile,
): string {
  try {
    read({ file: "node.yaml", text });
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "config.invalid") return thrown.message;
    throw thrown;
  }
  throw new Error("it was taken");
}

describe("a node's file", () => {
  it.each([
    ["an anchor", "a: &x 1", 1, "anchor"],
    ["an alias", "a: &x 1\nb: *x", 2, "alias"],
    ["a tag of YAML's own", "a: 1\nb: !!binary aGk=", 2, "tag"],
    ["a tag of somebody's", "a: !exec rm", 1, "tag"],
    ["a tag that it brings along", "%TAG !e! tag:example.com,2000:\n---\na: !e!x 1", 1, "directive"],
    ["a merge key", "a: {<<: {b: 1}}", 1, "merge key"],
    ["an older YAML, where yes is true", "%YAML 1.1\n---\na: yes", 1, "directive"],
    ["a key for the second time", "a: 1\nb: 2\na: 3", 3, "second time"],
    ["a key for the second time in JSON", '{"a": 1,\n"a": 2}', 2, "second time"],
    ["a second document", "a: 1\n---\nb: 2", 2, "second document"],
    ["a key that is a list", "? [a]\n: 1", 1, "key is no text"],
    ["a tab for an indent", "a:\n\tb: 1", 2, "tab"],
    ["nothing", "", 1, "is empty"],
    ["comments alone", "# a\n", 1, "is empty"],
    ["a text", "just a text", 1, "no keys"],
    ["a list", "- a", 1, "no keys"],
    ["half of a JSON", '{"a": {\n"b": 1', 2, "whole file"],
    ["a text without its end", 'a: 1\nb: "c', 2, "whole file"],
    ["a NUL", "a: 1\nb: \u0000", 2, "control"],
    ["O8 a terminal's escape", "a: \u001b[31m", 1, "control"],
    ["the same, escaped", 'a: 1\nb: "\\u001b[31m"', 2, "control"],
    ["a text that runs backwards", "a: 1\n# \u202e", 2, "bidirectional"],
    ["half a character, escaped", 'a: "\\ud800"', 1, ""],
    ["a key with a line's end", '"a\\nb": 1', 1, "a key holds"],
  ])("with %s is refused, with its line", (_, text, line, why) => {
    const said = refusal(text);
    expect(said).toMatch(new RegExp(`^node\\.yaml:${line}: `, "m"));
    expect(said).toContain(why);
  });

  it("that would grow without end is refused before it does", () => {
    const layers = Array.from({ length: 12 }, (_, i) => `l${i}: &l${i} [${`*l${i - 1},`.repeat(9)}]`);
    const startedMs = performance.now();
    expect(refusal(["l0: &l0 lol", ...layers.slice(1)].join("\n"))).toContain("alias");
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it("that is huge is refused", () => {
    expect(refusal(`a: ${"x".repeat(MAX_NODE_FILE_CHARS)}`)).toContain("longer than");
  });

  it.each(["[", "{a: ", "a:\n"])("that is nested as deep as it can be is refused (%s)", (opening) => {
    const times = Math.floor(MAX_NODE_FILE_CHARS / opening.length / 2);
    expect(refusal(opening.repeat(times))).toContain("node.yaml:");
    expect(refusal(`a: ${"[".repeat(30_000)}${"]".repeat(30_000)}`)).toContain("node.yaml:");
  });

  it("of as many keys as fit is read within seconds", () => {
    const text = Array.from({ length: 7_000 }, (_, i) => `k${i}: 1`).join("\n");
    expect(text.length).toBeLessThan(MAX_NODE_FILE_CHARS);
    const startedMs = performance.now();
    expect(readNodeFile({ file: "f", text }).entries.length).toBe(7_000);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it("may be JSON with tabs, have Windows' line ends, and __proto__ is a key like any other", () => {
    expect(readNodeFile({ file: "f", text: '{\r\n\t"__proto__": {"a": 1}\r\n}' }).entries).toMatchObject([
      { key: "__proto__", place: { line: 2 }, value: { kind: "map" } },
    ]);
    expect(refusal("__proto__: {a: 1}", importOckamNode)).toContain('"__proto__" is unknown');
    expect(refusal("tcp-inlet: {constructor: 1}", importOckamNode)).toContain('"constructor" is unknown');
  });

  it("whatever it holds, is read or refused by file and line", () => {
    const piece = fc.constantFrom(
      ...[
        "a",
        ": ",
        "\n",
        "  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "&",
        "*",
        "!",
        "|",
        ">",
        "#",
        "---",
        "%",
        ",",
        "$",
        "\t",
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        try {
          readNodeFile({ file: "f", text: pieces.join("") });
        } catch (thrown) {
          if (!(thrown instanceof Fault)) throw thrown;
          expect(thrown.code).toBe("config.invalid");
          for (const line of thrown.message.split("\n")) expect(line).toMatch(/^f:\d+: |^and \d+ more/);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what is said of a configuration that is refused", () => {
  const SECRET = "c2VjcmV0c2VjcmV0";
  const OUTLET = `influxdb-outlet:\n  to: h:8086\n  all-access-token: ${SECRET}\n`;

  it.each([
    ["half of it", OUTLET],
    ["a bad life", `${OUTLET}  leased-token-expires-in: ${SECRET}\n  leased-token-permissions: '[]'\n`],
    [
      "bad permissions",
      `${OUTLET}  leased-token-expires-in: 300\n  leased-token-permissions: '[${SECRET}'\n`,
    ],
    ["an address that is a secret", `tcp-inlet: {from: "${SECRET}@host"}`],
    ["a secret for a ticket, in a list", `ticket: [${SECRET}]`],
    ["a secret after a tab", `ticket:\n\t${SECRET}: ${SECRET}`],
    ["a secret that is no YAML", `ticket: @${SECRET}`],
    ["a secret for a key", `{ticket: x, ${SECRET}}`],
    ["a secret for a key of a section", `tcp-inlet: {from: 1, ${SECRET}}`],
    ["a secret beside names", `tcp-inlet: {a: {from: 1}, ${SECRET}: 1}`],
    ["a secret twice", `ticket: ${SECRET}\nticket: ${SECRET}`],
    ["a secret in a variable", `variables: {T: $${SECRET}}\ninfluxdb-inlet: {from: 8086}`],
  ])("L14 holds nothing of its secrets: %s", (_, text) => {
    expect(refusal(text, importOckamNode)).not.toContain(SECRET.slice(0, 8));
  });

  it("names what is missing where a file ends early", () => {
    const said = refusal(OUTLET, importOckamNode);
    expect(said).toContain('"leased-token-expires-in" is missing');
    expect(said).toContain('"leased-token-permissions" is missing');
    expect(refusal("relay: default", importOckamNode)).toContain("no inlet and no outlet");
  });

  it.each([
    ["influxdb-outlet: {to: 'h:8086:1', fixed-token: x}", '"to" must be'],
    ["tcp-outlet: {to: 'ftp://h:1'}", '"to" must be'],
    ["tcp-inlet: {from: 99999}", '"from" must be'],
    ["tcp-inlet: {from: 1, to: /project/p/secure/api}", '"to" must be the name of a service'],
    ["tcp-outlet: {to: 1, tls: maybe}", "must be true or false"],
    ["http-server-port: 70000\ntcp-inlet: {from: 1}", "must be a port"],
    ["tcp-inlet: {from: 1}\ntcp_inlets: {from: 2}", "second time"],
    [
      "influxdb-outlet: {to: 1, leased-token-expires-in: 5 years, leased-token-permissions: '[]'}",
      "a duration",
    ],
    [
      "influxdb-outlet: {to: 1, leased-token-expires-in: 1, leased-token-permissions: '[]'}",
      "list of permissions",
    ],
    [
      'influxdb-outlet: {to: 1, leased-token-expires-in: 1, leased-token-permissions: \'[{"action":"all","resource":{"type":"buckets"}}]\'}',
      'no action "read" or "write"',
    ],
    [
      'influxdb-outlet: {to: 1, leased-token-expires-in: 1, leased-token-permissions: \'[{"action":"read","resource":{"type":"tasks"}}]\'}',
      "none of the permissions is for a bucket",
    ],
  ])("is why: %s", (text, why) => {
    expect(refusal(text, importOckamNode)).toContain(why);
  });
});

describe("what an imported text can do to the config", () => {
  it("is nothing but be a value: it adds no key, no table and no variable of its own", () => {
    const { toml } = importOckamNode({
      file: 'x"\n[authority]',
      text: `influxdb-outlet:\n  to: h:8086\n  org-id: 'a"\\ [b] $\${HOME} $'\n  fixed-token: x\n`,
    });
    expect(toml.match(/^ *\[.*$/gm)).toEqual([
      "[agent]",
      "[authority]",
      "[channel]",
      "[[outlets.influxdb]]",
      "  [[outlets.influxdb.permissions]]",
      "  [[outlets.influxdb.permissions]]",
    ]);
    expect(toml).toContain('organization = "a\\"\\\\ [b] $${HOME} $"');
  });
});
