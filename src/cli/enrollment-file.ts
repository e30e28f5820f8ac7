/** The record of a node's membership on disk: `enrollment.json` (0600) in the state directory. */
import { Fault } from "../base/fault.ts";
import type { CryptoProvider } from "../crypto/provider.ts";
import type { Identifier } from "../identity/identifier.ts";
import {
  decodeEnrollment,
  type EnrollmentStore,
  encodeEnrollment,
  MAX_ENROLLMENT_CHARACTERS,
} from "../membership/enrollment.ts";
import { StateDirectory } from "./state-directory.ts";

export const ENROLLMENT_FILE = "enrollment.json";

export function enrollmentFile(
  stateDir: string,
  node: { readonly provider: CryptoProvider; readonly identifier: Identifier },
): EnrollmentStore {
  return {
    async load() {
      const directory = await StateDirectory.find(stateDir);
      const text = await directory?.readPrivateFile(ENROLLMENT_FILE, MAX_ENROLLMENT_CHARACTERS);
      if (directory === undefined || text === undefined) return undefined;
      try {
        return decodeEnrollment({ text, ...node });
      } catch (cause) {
        const fault = Fault.from(cause);
        throw new Fault(fault.code, `${directory.pathOf(ENROLLMENT_FILE)}: ${fault.message}`, { cause });
      }
    },
    async save(enrollment) {
      const directory = await StateDirectory.make(stateDir);
      await directory.replacePrivateFile(ENROLLMENT_FILE, encodeEnrollment(enrollment));
    },
  };
}
