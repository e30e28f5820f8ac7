import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../src/base/fault.ts";
import { canonicalTarget, isOpen, resolveRoute } from "../../src/policy/route.ts";

/** Mostly the pieces that mean something in a target, so that they meet often. */
const piece = fc.constantFrom(
  ..."/ /api /v2 /write /delete /query . .. %2e %2F %5c \\ ? # & = ; + % %77 %64 %00 u p bucket org db a é \n".split(
    " ",
  ),
);
const target = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => `/${text}`),
);

function canonicalOrRefused(raw: string): string | undefined {
  try {
    return canonicalTarget(raw).target;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "request.route") return undefined;
    throw thrown;
  }
}

describe("canonical targets", () => {
  it("H7 a canonical form is its own canonical form", () => {
    fc.assert(
      fc.property(target, (raw) => {
        const once = canonicalOrRefused(raw);
        if (once !== undefined) expect(canonicalOrRefused(once)).toBe(once);
      }),
      { numRuns: 2_000 },
    );
  });

  it("H7 no reader of URLs sees another path in it", () => {
    fc.assert(
      fc.property(target, (raw) => {
        const once = canonicalOrRefused(raw);
        if (once === undefined) return;
        const { path } = canonicalTarget(once);
        expect(new URL(`http://h${once}`).pathname).toBe(path);
      }),
      { numRuns: 2_000 },
    );
  });

  it("H7 whatever the escapes, delete is refused", () => {
    const letters = fc.tuple(
      ...[..."delete"].map((letter) => fc.constantFrom(letter, letter.toUpperCase(), escaped(letter))),
    );
    fc.assert(
      fc.property(letters, fc.constantFrom("", "/", "?a=b", "/x"), (spelled, rest) => {
        const raw = `/api/v2/${spelled.join("")}${rest}`;
        expect(isOpen(resolveRoute("POST", raw).routeClass, { routes: "all" })).toBe(false);
      }),
    );
  });
});

function escaped(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`;
}
