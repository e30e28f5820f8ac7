/** Every bound of the inlet in one place. Sizes in bytes, times in milliseconds. */
export interface InletLimits {
  /** A request body up to this size is kept for one replay; a longer one streams. */
  readonly replayBytes: number;
  /** Kept bodies of all requests together; beyond it bodies stream and have no replay. */
  readonly keptBytes: number;
  /** A longer body is answered 413. */
  readonly maxBodyBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  /** Requests inside the tunnel at once; uploads that stream may take half of them. */
  readonly maxStreams: number;
  readonly maxWaiting: number;
  /** How long a request may wait for its turn. */
  readonly waitMs: number;
  /** From the end of the request body to the head of the answer. Telegraf gives up after 5 s in all. */
  readonly answerMs: number;
  /** The same for queries, which may think before they speak. */
  readonly queryAnswerMs: number;
  /** A client is too slow when it has kept us waiting for this long plus its bytes at the least rate. */
  readonly bodyPatienceMs: number;
  readonly minBodyBytesPerSecond: number;
}

export const defaultInletLimits: InletLimits = {
  replayBytes: 1024 * 1024,
  keptBytes: 64 * 1024 * 1024,
  maxBodyBytes: 64 * 1024 * 1024,
  maxHeaderBytes: 32 * 1024,
  maxHeaders: 100,
  maxStreams: 256,
  maxWaiting: 1024,
  waitMs: 2_000,
  answerMs: 4_500,
  queryAnswerMs: 30_000,
  bodyPatienceMs: 10_000,
  minBodyBytesPerSecond: 4 * 1024,
};
