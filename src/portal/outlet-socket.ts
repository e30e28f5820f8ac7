/** From an outlet to the one address that its config names, within a deadline. */
import { Fault } from "../base/fault.ts";
import type { Wire, WireHandler } from "../transport/wire.ts";

/** @returns cancels an attempt that is still under way. */
export type Dial<Failure> = (
  take: (wire: Wire) => WireHandler,
  onFailure: (failure: Failure) => void,
) => () => void;

export interface ServiceSocketOptions {
  /** `host:port`, for what a person reads. */
  readonly place: string;
  /** In the clear or by TLS. */
  readonly dial: Dial<unknown>;
  readonly connectTimeoutMs: number;
}

/** @returns a dial that fails with `upstream.unreachable` or `upstream.timeout`, in time. */
export function serviceSocket({ place, dial, connectTimeoutMs }: ServiceSocketOptions): Dial<Fault> {
  return (take, onFailure) => {
    let over = false;
    const settle = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      return true;
    };
    const timer = setTimeout(() => {
      if (!settle()) return;
      cancel();
      onFailure(new Fault("upstream.timeout", `${place}: no connection within ${connectTimeoutMs / 1000} s`));
    }, connectTimeoutMs);
    const failed = (cause: unknown): void => {
      if (!settle()) return;
      const why = cause instanceof Error ? cause.message || cause.name : String(cause);
      onFailure(new Fault("upstream.unreachable", `${place}: ${why}`, { cause }));
    };
    let cancel = (): void => {};
    try {
      cancel = dial((wire) => {
        if (settle()) return take(wire);
        wire.destroy();
        return NOBODY;
      }, failed);
    } catch (cause) {
      // TLS throws what it does not like of its files. Told a turn later, as all else.
      queueMicrotask(() => failed(cause));
    }
    return () => {
      if (settle()) cancel();
    };
  };
}

const NOBODY: WireHandler = { onData() {}, onWritable() {}, onClose() {} };
