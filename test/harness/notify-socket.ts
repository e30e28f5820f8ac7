/** A service manager's end of sd_notify(3): a Unix datagram socket, which Python has and Bun and Node have not. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describeHaving } from "./describe-having.ts";
import { Spawned } from "./spawned.ts";
import { tempDir } from "./temporary.ts";

/** A `describe` that needs Python. Without it, it is skipped and says so in its name; in CI that is an error. */
export function describeNotify(name: string, body: () => void): void {
  describeHaving(hasPython() ? [] : ["python3"], name, body);
}

export interface Told {
  /** Of the process that sent it, as the kernel says. */
  readonly pid: number;
  readonly state: string;
}

export class NotifySocket {
  /** For NOTIFY_SOCKET. */
  readonly address: string;
  readonly #process: Spawned;

  private constructor(address: string, process: Spawned) {
    this.address = address;
    this.#process = process;
  }

  /**
   * @param options.address a path, or `@name`; a new path where nothing is said.
   * @param options.answer a signal that is sent back in the instant in which READY=1 is first heard.
   */
  static async open(
    options: { readonly address?: string; readonly answer?: "SIGHUP" | "SIGTERM" } = {},
  ): Promise<NotifySocket> {
    const at = options.address ?? join(await tempDir("notify"), "notify");
    const args = ["-u", "-c", RECEIVER, at, ...(options.answer ? [options.answer] : [])];
    const process = new Spawned({ command: "python3", args });
    await process.waitForOutput(/^open$/m, { from: "stdout" });
    return new NotifySocket(at, process);
  }

  get told(): Told[] {
    return this.#process.stdout
      .split("\n")
      .filter((line) => line.endsWith("}"))
      .map((line) => JSON.parse(line) as Told);
  }

  has(pattern: RegExp): boolean {
    return this.told.some(({ state }) => pattern.test(state));
  }

  count(pattern: RegExp): number {
    return this.told.filter(({ state }) => pattern.test(state)).length;
  }

  async close(): Promise<void> {
    await this.#process.kill();
  }
}

/** Says each datagram as a line of JSON. A line that is written only in part has no closing brace yet. */
const RECEIVER = `
import json, os, signal, socket, struct, sys
at, answers = sys.argv[1], sys.argv[2:]
one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
one.bind("\\0" + at[1:] if at.startswith("@") else at)
print("open")
while True:
    state, control, _, _ = one.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("3i", control[0][2][:12])[0]
    if answers and state.startswith(b"READY=1"):
        os.kill(pid, signal.Signals[answers.pop()])
    print(json.dumps({"pid": pid, "state": state.decode()}))
`;

function hasPython(): boolean {
  try {
    execFileSync("python3", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
