/**
 * transport: byte streams between nodes, and the life of a channel on them: dial, listen, back off, tick.
 * It moves bytes and keeps time for the sans-io sessions; it knows nothing of what a stream carries.
 *
 * A Wire is one TCP connection (another transport may take its place) as a session needs it.
 */
export interface Wire {
  /** Who is at the other end, `host:port`, for logs. */
  readonly remote: string;
  /** The address alone, as the system has it; undefined for a peer that is gone again already. */
  readonly remoteAddress: string | undefined;
  /**
   * @param bytes not kept: what is not taken must be offered again after `onWritable`.
   * @returns how many bytes were taken, 0..bytes.length.
   */
  write(bytes: Uint8Array): number;
  /**
   * Takes back the memory of a chunk that `onData` was given, by who is done with it: the next one then lies in memory
   * that is still in the processor's cache. All chunks of a wire are freed, each within its `onData`, or none.
   * Absent where a wire would not gain by it.
   */
  free?(chunk: Uint8Array): void;
  /** Stops and starts again what `onData` is given: the peer is held back by TCP. */
  pause(): void;
  resume(): void;
  /** Sends what was taken, then says that no more will come. The peer may still send, until it ends too. */
  end(): void;
  /** Drops the connection at once; the peer sees it cut. */
  destroy(): void;
}

export interface WireHandler {
  /** @param chunk the handler's own from now on. */
  onData(chunk: Uint8Array): void;
  onWritable(): void;
  /** The peer will send no more. Absent: the wire is ended in answer, which closes it. */
  onEnd?(): void;
  /** The connection is over, for whatever cause; called once. Without an `onEnd` before it, it was cut. */
  onClose(): void;
}

/** Dials and listens on one runtime. */
export interface WireProvider {
  /**
   * @param take is given the wire once it is open, and gives back its handler.
   * @returns cancels an attempt that is still under way.
   */
  dial(
    address: TcpAddress,
    take: (wire: Wire) => WireHandler,
    onFailure: (cause: unknown) => void,
  ): () => void;
  /** @throws Fault `transport.address-unusable`. */
  listen(address: TcpAddress, take: (wire: Wire) => WireHandler): Promise<WireListener>;
}

export interface WireListener {
  readonly port: number;
  /** Takes no more connections; those that are open stay. */
  stop(): void;
}

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}
