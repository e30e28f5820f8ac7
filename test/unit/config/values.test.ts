// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${NAME}` is the config's own syntax here
import { describe, expect, it } from "vitest";
import { Problem } from "../../../src/config/finding.ts";
import { nearestName } from "../../../src/config/nearest-name.ts";
import { parseDurationMs, parseSizeBytes } from "../../../src/config/quantity.ts";
import { substitute } from "../../../src/config/substitution.ts";

describe("durations", () => {
  it.each([
    ["300ms", 300],
    ["0s", 0],
    ["5m", 300_000],
    ["24h", 86_400_000],
    ["1d", 86_400_000],
    ["1h30m", 5_400_000],
    ["1m500ms", 60_500],
  ])("%s", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(["", "5", "s", "-5s", "5 s", "1.5s", "5S", "5sx", "1h30", "999999999999999d"])("not %j", (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });
});

describe("sizes", () => {
  it.each([
    ["100B", 100],
    ["512KiB", 524_288],
    ["1MiB", 1_048_576],
    ["10MB", 10_000_000],
    ["1kB", 1000],
    ["1GiB", 1_073_741_824],
  ])("%s", (text, bytes) => {
    expect(parseSizeBytes(text)).toBe(bytes);
  });

  it.each(["", "1", "B", "1 MiB", "1mib", "-1B", "1.5MiB", "999999999999999GiB"])("not %j", (text) => {
    expect(parseSizeBytes(text)).toBeUndefined();
  });
});

describe("substitution", () => {
  const env = { NAME: "value", EMPTY: "", NESTED: "${NAME}" };

  it.each([
    ["plain", "plain"],
    ["a-${NAME}-b", "a-value-b"],
    ["${NAME}${NAME}", "valuevalue"],
    ["${EMPTY}", ""],
    ["${EMPTY:-d}", "d"],
    ["${UNSET:-}", ""],
    ["${UNSET:-http://h:1}", "http://h:1"],
    ["$${NAME}", "${NAME}"],
    ["pa$$word$", "pa$$word$"],
    ["${NESTED}", "${NAME}"],
  ])("%s", (written, text) => {
    expect(substitute(written, env)).toMatchObject({ text });
  });

  it.each(["${UNSET}", "${", "${NAME", "${}", "${1A}", "${A B}", "${toString}", "${__proto__}"])(
    "not %s",
    (written) => {
      expect(substitute(written, env)).toBeInstanceOf(Problem);
    },
  );

  it("knows whether the environment has gone in", () => {
    expect(substitute("${UNSET:-d}", env)).toMatchObject({ fromEnvironment: false });
    expect(substitute("${NAME}", env)).toMatchObject({ fromEnvironment: true });
  });
});

describe("the nearest name", () => {
  it.each([
    ["lisen", "listen"],
    ["LISTEN", "listen"],
    ["lsiten", "listen"],
    ["timout", "timeout"],
  ])("%s", (name, nearest) => {
    expect(nearestName(name, ["listen", "timeout", "url"])).toBe(nearest);
  });

  it.each(["bucket", "", "x".repeat(10_000)])("none is near", (name) => {
    expect(nearestName(name, ["listen", "timeout", "url"])).toBeUndefined();
  });
});
