/**
 * A Debian that has booted systemd (scripts/debian-machine makes it), in a container of systemd-nspawn: for what only a
 * real systemd shows. It has the network of this machine, so its loopback is the test's, and files of its own that
 * are gone with it.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describeHaving } from "./describe-having.ts";
import { eventually } from "./eventually.ts";
import { NotifySocket } from "./notify-socket.ts";
import { run, Spawned } from "./spawned.ts";

/** A `describe` that needs it. Without it, it is skipped and says so in its name; in CI that is an error. */
export function describeMachine(name: string, body: () => void): void {
  describeHaving(folder() !== "" ? [] : ["Debian to boot"], name, body);
}

export interface Outcome {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly output: string;
}

export class DebianMachine {
  readonly #process: Spawned;
  readonly #init: string;

  private constructor(process: Spawned, init: string) {
    this.#process = process;
    this.#init = init;
  }

  /**
   * @param shared a folder that it sees, and cannot change, as /shared.
   * @param options more of systemd-nspawn's.
   */
  static async boot(shared: string, options: readonly string[] = []): Promise<DebianMachine> {
    const supervisor = await NotifySocket.open();
    const name = `culvert-${crypto.randomUUID()}`;
    const container = new Spawned({
      command: "systemd-nspawn",
      args: [
        ...["--quiet", "--boot", "--console=pipe", "--notify-ready=yes", `--machine=${name}`],
        ...["--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"],
        ...[`--directory=${folder()}`, "--volatile=overlay", `--bind-ro=${shared}:/shared`, ...options],
      ],
      env: { NOTIFY_SOCKET: supervisor.address },
    });
    try {
      const told = await eventually(
        "the boot of a Debian",
        () => {
          if (container.exit) throw new Error(container.output);
          const states = supervisor.told.map(({ state }) => state).join("\n");
          return /^READY=1$/m.test(states) ? /^X_NSPAWN_LEADER_PID=(\d+)$/m.exec(states) : undefined;
        },
        { deadlineMs: 60_000 },
      );
      return new DebianMachine(container, told[1]!);
    } catch (cause) {
      await container.kill();
      throw new Error(`it did not boot:\n${container.output}`, { cause });
    } finally {
      await supervisor.close();
    }
  }

  /** Runs a script of the shell in it, as root. */
  async sh(script: string, input?: string): Promise<Outcome> {
    const inside = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd"];
    const { exit, stdout, output } = await run(
      {
        command: "nsenter",
        args: ["--target", this.#init, ...inside, "--", "/bin/sh", "-euc", script],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        ...(input !== undefined && { input }),
      },
      { deadlineMs: 60_000 },
    );
    return { code: exit.code, stdout: stdout.trim(), output };
  }

  /** As `sh`. @returns what it said. @throws Error when it failed. */
  async mustSh(script: string, input?: string): Promise<string> {
    const { code, stdout, output } = await this.sh(script, input);
    if (code !== 0) throw new Error(`${script}: exit code ${code}\n${output}`);
    return stdout;
  }

  async put(path: string, content: string, mode = "0644"): Promise<void> {
    await this.mustSh(`mkdir -p "$(dirname ${path})"; cat > ${path}; chmod ${mode} ${path}`, content);
  }

  /** One property of a unit. */
  async property(unit: string, name: string): Promise<string> {
    return await this.mustSh(`systemctl show --value --property ${name} ${unit}`);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

let found: string | undefined;

function folder(): string {
  const script = fileURLToPath(new URL("../../scripts/debian-machine", import.meta.url));
  found ??= execFileSync(script, ["--print"], { encoding: "utf8" }).trim();
  return found;
}
