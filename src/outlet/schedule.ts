/** Timers as the outlet takes them: given from outside, so that a test can own time. */

/** Runs something once after a delay; the result cancels it. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

export function sleep(schedule: Schedule, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    schedule(delayMs, resolve);
  });
}

/** What `work` comes to, or `late` if that takes longer than `limitMs`; the work goes on behind. */
export async function within<T, L>(
  schedule: Schedule,
  limitMs: number,
  work: Promise<T>,
  late: () => L,
): Promise<T | L> {
  let cancel = () => {};
  const timer = new Promise<L>((resolve) => {
    cancel = schedule(Math.max(0, limitMs), () => resolve(late()));
  });
  try {
    return await Promise.race([work, timer]);
  } finally {
    cancel();
  }
}
