/** What the binary says of its own commands in its help: what completions and the manual are held to. */
import { type Binary, culvert } from "./culvert.ts";

export interface HelpedCommand {
  /** `config check` */
  readonly name: string;
  /** With their hyphens. */
  readonly options: readonly string[];
}

export async function helpedCommands(binary: Binary): Promise<HelpedCommand[]> {
  const { stdout } = await culvert(["--help"], { binary });
  // Lower-case words: what stands for a value is upper case or in brackets.
  const names = [...stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?)(?: [[A-Z].*?)? {2,}\S/gm)].map(
    ([, name]) => name!,
  );
  const lines = stdout.match(/^ {2}\S/gm) ?? [];
  if (names.length !== lines.length || names.length === 0) throw new Error(`not understood: ${stdout}`);
  return await Promise.all(
    names.map(async (name) => {
      const help = (await culvert([...name.split(" "), "--help"], { binary })).stdout;
      return { name, options: [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option]) => option!) };
    }),
  );
}
