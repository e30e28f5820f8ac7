/**
 * Time as the core sees it. Two clocks, never mixed: `monotonicMs` measures spans and is untouched by
 * a person or NTP setting the date; `wallMs` is what a date on paper means.
 */
export interface Clock {
  /** Milliseconds since some fixed instant of this process; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01T00:00:00Z as this machine believes; may jump either way. */
  wallMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** Uniform random in [0, 1): injected where jitter is drawn so that tests can fix it. */
export type Random = () => number;
