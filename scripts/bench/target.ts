/** target: one way from the generator to the sink, and the processes on it whose cost is counted. */
import { WRITE_PATH, writeBody } from "./load.ts";
import type { Stage, Started } from "./stage.ts";

const FIRST_WRITE_DEADLINE_MS = 10_000;

export interface Target {
  readonly name: string;
  /** Where the generator sends its writes. */
  readonly port: number;
  /** Client's side first; none when the sink is reached directly. */
  readonly processes: readonly Part[];
}

export interface Part {
  readonly role: string;
  readonly pid: number;
}

export interface Surroundings {
  readonly stage: Stage;
  readonly sinkPort: number;
}

export function part(role: string, started: Started): Part {
  return { role, pid: started.pid };
}

/** A listener that takes connections may still wait for its other half: a 204 says that all is up. */
export async function firstWrite({ name, port }: Target): Promise<void> {
  const body = writeBody();
  for (const endMs = performance.now() + FIRST_WRITE_DEADLINE_MS; ; await Bun.sleep(50)) {
    const outcome = await fetch(`http://127.0.0.1:${port}${WRITE_PATH}`, { method: "POST", body })
      .then((response) => response.status)
      .catch((error: unknown) => String(error));
    if (outcome === 204) return;
    if (performance.now() > endMs) throw new Error(`${name} does not pass a write on: ${outcome}`);
  }
}
