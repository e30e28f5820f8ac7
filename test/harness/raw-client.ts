/** Bytes to a listener and bytes back: what no HTTP client would send. */
import { connect } from "node:net";

/** After an answer, how long another one is listened for. */
const SECOND_ANSWER_MS = 60;

export interface RawAnswer {
  readonly text: string;
  /** Status codes of the answers, in order, interim ones left out. */
  readonly statuses: number[];
  readonly closed: boolean;
}

/** Sends bytes; done when the server closes, when `enough` says so, or after `withinMs` of silence. */
export function sendRaw(
  address: string,
  bytes: string,
  options: { enough?: (text: string) => boolean; withinMs?: number } = {},
): Promise<RawAnswer> {
  const { enough, withinMs = 300 } = options;
  return new Promise((resolve) => {
    const socket = connect(connectTo(address));
    let text = "";
    let timer: ReturnType<typeof setTimeout>;
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
      resolve({ text, statuses: statuses.filter((status) => status >= 200), closed });
    };
    const wait = (): void => {
      clearTimeout(timer);
      const answered = /HTTP\/1\.1 [2-5]/.test(text);
      timer = setTimeout(() => finish(false), answered ? SECOND_ANSWER_MS : withinMs);
    };
    socket.on("connect", () => socket.write(Buffer.from(bytes, "latin1")));
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (enough?.(text)) finish(false);
      else wait();
    });
    socket.on("close", () => finish(true));
    socket.on("error", () => finish(true));
    wait();
  });
}

export function connectTo(address: string): { host: string; port: number } | { path: string } {
  if (address.startsWith("unix://")) return { path: address.slice("unix://".length) };
  const { hostname, port } = new URL(address);
  return { host: hostname, port: Number(port) };
}
