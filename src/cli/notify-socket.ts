/**
 * The socket on which a service manager is told things (sd_notify(3)): datagrams over a Unix socket, which
 * neither Bun nor Node can send. Bun calls libc for them; starting `systemd-notify` instead would make the
 * service depend on a program, and its unit let any process of the service feed the watchdog.
 */
import type { Pointer } from "bun:ffi";

export type SendState = (state: string) => boolean;

/** @returns what sends, or why nothing can be sent. */
export async function openNotifySocket(address: string): Promise<SendState | string> {
  if (!process.versions.bun) return "only culvert's binaries can tell the service manager";
  // vsock: is for whole virtual machines.
  if (!/^[/@]./.test(address)) return `NOTIFY_SOCKET is no socket of this machine: ${address}`;
  try {
    return await connected(address);
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

const AF_UNIX = 1;
/** SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, on x64 and arm64 alike (socket(2)). */
const DATAGRAM = 0o2 | 0o2000000 | 0o4000;
/** send(2): an error instead of SIGPIPE. */
const MSG_NOSIGNAL = 0x4000;

/** glibc's, and musl's. */
const LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

async function connected(address: string): Promise<SendState> {
  const { ptr } = await import("bun:ffi");
  const { socket, connect, send } = await libc();
  const name = socketAddress(address);
  const file = socket(AF_UNIX, DATAGRAM, 0);
  if (file < 0 || connect(file, ptr(name), name.length) !== 0) throw new Error(`no one is at ${address}`);
  return (state) => {
    const bytes = new TextEncoder().encode(state);
    return Number(send(file, ptr(bytes), bytes.length, MSG_NOSIGNAL)) === bytes.length;
  };
}

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  connect(file: number, address: Pointer, bytes: number): number;
  send(file: number, data: Pointer, bytes: number, flags: number): number | bigint;
}

async function libc(): Promise<Libc> {
  const { dlopen } = await import("bun:ffi");
  let failure: unknown;
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
        send: { args: ["i32", "ptr", "usize", "i32"], returns: "i64" },
      }).symbols as Libc;
    } catch (cause) {
      failure = cause;
    }
  }
  throw failure;
}

/** `sockaddr_un` (unix(7)): the family, then the path, or for `@name` a zero byte and the name. */
export function socketAddress(address: string): Uint8Array {
  const path = new TextEncoder().encode(address);
  const isAbstract = address.startsWith("@");
  const bytes = new Uint8Array(2 + path.length + (isAbstract ? 0 : 1));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(path, 2);
  if (isAbstract) bytes[2] = 0;
  return bytes;
}
