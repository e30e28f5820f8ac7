/** Tests that need what a machine may lack: a server, a program, an emulator. */
import { describe } from "vitest";

/**
 * A `describe` that is skipped where something is missing, and says so in its name; in CI that is an error.
 * @param missing names of what is not here.
 */
export function describeHaving(missing: readonly string[], name: string, body: () => void): void {
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  if (process.env.CI === "true") throw new Error(`missing in CI: ${missing.join(", ")}`);
  describe.skip(`${name} (skipped: no ${missing.join(", no ")})`, body);
}
