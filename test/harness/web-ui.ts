/** A real web interface (Syncthing's) on a loopback port, and a real browser (Chromium) to look at it with. */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { describeHaving } from "./describe-having.ts";
import { eventually } from "./eventually.ts";
import { run, Spawned } from "./spawned.ts";
import { freePort, tempDir } from "./temporary.ts";

/** A `describe` that needs both; without them it is skipped, and says so in its name. In CI that is an error. */
export function describeWebUi(name: string, body: () => void): void {
  describeHaving(
    ["chromium", "syncthing"].filter((program) => !programs().has(program)),
    name,
    body,
  );
}

export class Syncthing {
  readonly port: number;
  readonly #process: Spawned;
  readonly #apiKey: string;

  private constructor(port: number, process: Spawned, apiKey: string) {
    this.port = port;
    this.#process = process;
    this.#apiKey = apiKey;
  }

  /** It talks to nobody but its own web interface. */
  static async start(): Promise<Syncthing> {
    const home = await tempDir("syncthing");
    const command = programs().get("syncthing")!;
    const env = { HOME: home, STNOUPGRADE: "1" };
    await run({ command, args: ["generate", "--home", home, "--no-default-folder"], env });
    const file = join(home, "config.xml");
    const written = await readFile(file, "utf8");
    await writeFile(
      file,
      written
        .replaceAll(/<(\w*(?:Announce|relays|nat|crashReporting)Enabled)>true</g, "<$1>false<")
        .replace(">default</listenAddress>", ">tcp://127.0.0.1:0</listenAddress>")
        .replace("<urAccepted>0<", "<urAccepted>-1<")
        .replace("<startBrowser>true<", "<startBrowser>false<"),
    );
    const port = await freePort();
    const args = ["serve", "--home", home, `--gui-address=127.0.0.1:${port}`, "--no-browser", "--no-restart"];
    const process = new Spawned({ command, args, env });
    const apiKey = /<apikey>(.+)<\/apikey>/.exec(written)![1]!;
    const started = new Syncthing(port, process, apiKey);
    await eventually(
      "Syncthing's interface",
      async () => (await started.#ask("GET", "/rest/system/ping")).ok,
      {
        deadlineMs: 20_000,
      },
    );
    return started;
  }

  /** As another client of its would: whoever looks at the interface sees it. */
  async addFolder(label: string): Promise<void> {
    const path = await tempDir("folder");
    const folder = { id: label.toLowerCase(), label, path, paused: true };
    const answer = await this.#ask("POST", "/rest/config/folders", folder);
    if (!answer.ok) throw new Error(`no folder: ${answer.status} ${await answer.text()}`);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }

  #ask(method: string, path: string, body?: object): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: { "X-API-Key": this.#apiKey },
      ...(body && { body: JSON.stringify(body) }),
    });
  }
}

export class Chromium {
  readonly browser: Browser;
  readonly #process: Spawned;

  private constructor(browser: Browser, process: Spawned) {
    this.browser = browser;
    this.#process = process;
  }

  static async start(): Promise<Chromium> {
    const profile = await tempDir("chromium");
    const process = new Spawned({
      command: programs().get("chromium")!,
      args: [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
        ...["--disable-dev-shm-usage", `--user-data-dir=${profile}`, "--remote-debugging-port=0"],
        "about:blank",
      ],
      env: { HOME: profile },
    });
    const [, endpoint] = await process.waitForOutput(/(ws:\/\/\S+)/, { deadlineMs: 20_000 });
    return new Chromium(await chromium.connectOverCDP(endpoint!), process);
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.#process.stop();
  }
}

let found: ReadonlyMap<string, string> | undefined;

function programs(): ReadonlyMap<string, string> {
  if (found === undefined) {
    const script = fileURLToPath(new URL("../../scripts/web-ui", import.meta.url));
    const lines = execFileSync(script, ["--print"], { encoding: "utf8" }).split("\n").filter(Boolean);
    found = new Map(lines.map((line) => line.split("=", 2) as [string, string]));
  }
  return found;
}
