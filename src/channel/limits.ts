/** The hard caps of a channel. What a peer may make us hold is bounded by these alone. */
export interface ChannelLimits {
  /** Streams that the peer may have open with us at once, those not yet wound up included. */
  readonly maxStreams: number;
  /** Receive window of a new stream, in bytes. */
  readonly windowBytes: number;
  /** The most a busy stream's window may grow to, in bytes. */
  readonly maxWindowBytes: number;
  /** What all the windows of a channel may have grown by together, in bytes. */
  readonly growthBytes: number;
  /** Transport messages and plaintext bytes in one direction until its key is replaced (Noise rev. 34 §11.3). */
  readonly rekeyMessages: number;
  readonly rekeyBytes: number;
  /** From the first byte to an accepted handshake, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** While anything waits for an answer: silence until a ping, in milliseconds. */
  readonly busyPingMs: number;
  /** From a ping to the end of the channel when nothing at all comes, in milliseconds. */
  readonly pingTimeoutMs: number;
}

/** Rekey counts are part of the protocol: both ends must have the same. */
export const defaultLimits: ChannelLimits = {
  maxStreams: 256,
  windowBytes: 64 * 1024,
  maxWindowBytes: 2 * 1024 * 1024,
  growthBytes: 8 * 1024 * 1024,
  rekeyMessages: 65_536,
  rekeyBytes: 1024 * 1024 * 1024,
  handshakeTimeoutMs: 10_000,
  busyPingMs: 5_000,
  pingTimeoutMs: 10_000,
};

/**
 * Of a control channel to a relay. Neither end of it is metered: each finds out within this and a ping's time
 * that the other is gone.
 */
export const controlLimits: ChannelLimits = { ...defaultLimits, maxStreams: 4, busyPingMs: 15_000 };

/** Frames of which an honest peer sends few: resets of streams just opened, opens over the cap, pings. */
export const NUISANCE_BURST = 200;
export const NUISANCE_PER_SECOND = 50;
/** Giving up a stream that is older costs nothing: a stalled InfluxDB makes every client do so at once. */
export const YOUNG_STREAM_MS = 1_000;
/** Control frames queued for a peer that does not read. */
export const MAX_QUEUED_CONTROL = 4_096;
/** No credit of a stream may exceed this (2^31-1), in bytes. */
export const MAX_CREDIT_BYTES = 0x7fffffff;
