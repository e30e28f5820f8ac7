import { describe, expect, it } from "vitest";
import { locateKeys } from "../../../src/config/key-locator.ts";

describe("the line of a key", () => {
  it.each([
    ["plain", "a = 1\nb = 2\n", ["b"], 2],
    ["after CR LF", "a = 1\r\nb = 2\r\n", ["b"], 2],
    ["in a table", "[t]\n# c\nk = 1", ["t", "k"], 3],
    ["the header itself", "\n\n[t]\nk = 1", ["t"], 3],
    ["in the second of an array of tables", "[[a.b]]\nk = 1\n[[a.b]]\nk = 2", ["a", "b", 1, "k"], 4],
    ["below the last of an array of tables", "[[a]]\n[[a]]\n[[a.p]]\nk = 1", ["a", 1, "p", 0, "k"], 4],
    ["dotted", "[t]\nx.y.z = 1", ["t", "x", "y", "z"], 2],
    ["quoted", "[t]\n\"a.b\" = 1\n'c d' = 2", ["t", "c d"], 3],
    ["escaped", '[t]\n"\\u0061" = 1', ["t", "a"], 2],
    ["in an inline table", "[t]\ni = {\n x = 1,\n y = 2 }", ["t", "i", "y"], 4],
    ["an item of a list", '[t]\nl = [ # c ]\n "]",\n "b",\n]', ["t", "l", 1], 4],
    ["an inline table in a list", "l = [\n{k=1},\n{k=2}]", ["l", 1, "k"], 3],
    ["after a long text with headers in it", 'a = """\n[t]\nk = 1\n"""\n[t]\nk = 2', ["t", "k"], 6],
    ["after a long text that ends with quotes", 'a = """x"""""\nb = 1', ["b"], 2],
    ["after a long literal", "a = '''\n\\'''\nb = 1", ["b"], 3],
    ["after escaped quotes", 'a = "\\"\\\\"\nb = 1', ["b"], 2],
    ["after a comment with brackets", "# [t\na = [1] # ]\nb = 1", ["b"], 3],
    ["a table first implied, then written", "[a.b]\n[a]\nk = 1", ["a"], 2],
  ] as const)("%s", (_, text, path, line) => {
    expect(locateKeys(text).lineOf(path)).toBe(line);
  });

  it.each([
    ["a key that is not there", "[t]\nk = 1", ["t", "other"], 1],
    ["an item that is not there", "\n[t]\nl = []", ["t", "l", 3], 3],
    ["a key in an escape of TOML's alone", '\n[t]\n\n"\\x61" = 1', ["t", "a"], 2],
  ] as const)("falls back to what is around %s", (_, text, path, line) => {
    expect(locateKeys(text).lineOf(path)).toBe(line);
  });
});
