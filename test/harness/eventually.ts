/**
 * harness: what scenario and contract tests stand on: real servers, compiled binaries, temporary folders,
 * and waiting for a condition. It knows nothing of culvert's insides.
 */

export interface Patience {
  /** When to give up, in milliseconds from now. */
  readonly deadlineMs?: number;
  readonly everyMs?: number;
}

/**
 * Waits until `probe` returns something truthy, and returns that. A probe that throws is asked again.
 * @throws Error naming `what`, with the probe's last error as its cause, once the deadline has passed.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = 10_000, everyMs = 20 }: Patience = {},
): Promise<Exclude<T, undefined | null | false | 0 | "">> {
  const deadline = performance.now() + deadlineMs;
  let last: unknown;
  do {
    try {
      const value = await probe();
      if (value) return value as Exclude<T, undefined | null | false | 0 | "">;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await sleep(everyMs);
  } while (performance.now() < deadline);
  const why = last instanceof Error ? `: ${last.message}` : "";
  throw new Error(`not within ${deadlineMs} ms: ${what}${why}`, { cause: last });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
