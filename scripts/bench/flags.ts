/** The flags that benchmarks of requests have in common. */
import { parseArgs } from "node:util";

export interface FlagOptions {
  /** The benchmark's name, before what is wrong with its flags. */
  readonly bench: string;
  readonly help: string;
  /** All that `--targets` may name. */
  readonly known: object;
  /** What is measured where it names none. */
  readonly usual: readonly string[];
}

export interface Flags {
  readonly targets: readonly string[];
  readonly connections: readonly number[];
  readonly rounds: number;
  /** Of one run. */
  readonly seconds: number;
  /** The file for everything measured. */
  readonly json: string | undefined;
}

/** Ends the process after `--help`, and with 2 where a flag is wrong. */
export function readFlags({ bench, help, known, usual }: FlagOptions): Flags {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        targets: { type: "string", default: usual.join() },
        connections: { type: "string", default: "1,32" },
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "3" },
        json: { type: "string" },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    const targets = values.targets.split(",");
    const unknown = targets.find((name) => !Object.hasOwn(known, name));
    if (unknown !== undefined) throw new Error(`no target is called ${unknown}`);
    return {
      targets,
      connections: values.connections.split(",").map(count),
      rounds: count(values.rounds),
      seconds: count(values.seconds),
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${bench}: ${(error as Error).message}\n${help}`);
    process.exit(2);
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${text} is not a count from 1 to 9999`);
  return Number(text);
}
