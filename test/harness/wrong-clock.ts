/** The environment of a process of ours whose date is wrong from its first instruction on. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tempDir } from "./temporary.ts";

/** @param offsetMs its clock less the true one. The runtime in the binary loads the file before the program. */
export async function wrongClock(offsetMs: number): Promise<{ readonly BUN_OPTIONS: string }> {
  const file = join(await tempDir("clock"), "clock.mjs");
  await writeFile(
    file,
    `const True = Date;
     const now = () => True.now() + ${offsetMs};
     globalThis.Date = class extends True {
       constructor(...given) {
         if (given.length === 0) super(now());
         else super(...given);
       }
       static now() { return now(); }
     };`,
  );
  return { BUN_OPTIONS: `--preload=${file}` };
}
