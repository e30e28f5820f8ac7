import { Fault } from "../base/fault.ts";

const MIN_CHARACTERS = 6;

/**
 * The one of these names that was meant: it itself, or the only one that begins so.
 * @param what a word for such a name: `member`.
 * @returns undefined where there is none.
 * @throws Fault `usage.invalid` for a beginning that is too short or of several.
 */
export function meantName(given: string, names: readonly string[], what: string): string | undefined {
  if (names.includes(given)) return given;
  if (given.length < MIN_CHARACTERS) {
    throw new Fault(
      "usage.invalid",
      `"${given}" is too short for a ${what}: give it whole, or its first ${MIN_CHARACTERS} characters or more`,
    );
  }
  const meant = names.filter((name) => name.startsWith(given));
  if (meant.length > 1) {
    const some = meant.slice(0, 4).join(", ");
    const more = meant.length > 4 ? ` and ${meant.length - 4} more` : "";
    throw new Fault("usage.invalid", `"${given}" may be several ${what}s: ${some}${more}; give more of it`);
  }
  return meant[0];
}
