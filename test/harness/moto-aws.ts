/** moto, a stand-in for AWS (scripts/moto-server installs it), on a loopback port, with secrets in it. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describeHaving } from "./describe-having.ts";
import { eventually } from "./eventually.ts";
import { Spawned } from "./spawned.ts";
import { freePort } from "./temporary.ts";

/** A `describe` that needs moto. Without it, it is skipped and says so in its name; in CI that is an error. */
export function describeMoto(name: string, body: () => void): void {
  describeHaving(python() !== "" ? [] : ["moto"], name, body);
}

/** Whoever has these may do anything there. */
export const awsCredentials = {
  AWS_ACCESS_KEY_ID: "AKIAOFTHETESTS",
  AWS_SECRET_ACCESS_KEY: "key-of-the-tests",
};
export const awsRegion = "eu-central-1";

export async function startMoto(port?: number): Promise<MotoAws> {
  const server = new MotoAws(port ?? (await freePort()));
  await eventually("moto's start", async () => (await fetch(`${server.url}/moto-api/`)).ok, {
    deadlineMs: 60_000,
  }).catch(async (cause: Error) => {
    await server.stop();
    throw new Error(`moto did not start:\n${server.process.output}`, { cause });
  });
  return server;
}

export class MotoAws {
  readonly port: number;
  readonly url: string;
  readonly process: Spawned;

  constructor(port: number) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.process = new Spawned({
      command: python(),
      args: ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
      // Its users' rights are looked at after `enforceRights` alone.
      env: { PYTHONUNBUFFERED: "1" },
    });
  }

  /** @returns the new secret's ARN. */
  async create(name: string, value: string | Uint8Array): Promise<string> {
    const content =
      typeof value === "string"
        ? { SecretString: value }
        : { SecretBinary: Buffer.from(value).toString("base64") };
    const { ARN } = await this.call("secretsmanager", "secretsmanager.CreateSecret", {
      Name: name,
      ...content,
    });
    return String(ARN);
  }

  /** Makes it the current one, as a rotation does. */
  async put(name: string, value: string): Promise<void> {
    await this.call("secretsmanager", "secretsmanager.PutSecretValue", {
      SecretId: name,
      SecretString: value,
    });
  }

  async delete(name: string): Promise<void> {
    await this.call("secretsmanager", "secretsmanager.DeleteSecret", { SecretId: name });
  }

  /** From now on, whoever asks needs a right to; nobody has one. @returns credentials of a user without rights. */
  async enforceRights(): Promise<typeof awsCredentials> {
    await this.#iam("Action=CreateUser&UserName=nobody&Version=2010-05-08");
    const made = await this.#iam("Action=CreateAccessKey&UserName=nobody&Version=2010-05-08");
    const part = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(made)?.[1] ?? "";
    await fetch(`${this.url}/moto-api/reset-auth`, { method: "POST", body: "0" });
    return { AWS_ACCESS_KEY_ID: part("AccessKeyId"), AWS_SECRET_ACCESS_KEY: part("SecretAccessKey") };
  }

  async call(service: string, target: string, body: object): Promise<Record<string, unknown>> {
    const response = await fetch(this.url, {
      method: "POST",
      headers: {
        ...signedFor(service),
        "x-amz-target": target,
        "content-type": "application/x-amz-json-1.1",
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`moto answered ${response.status} to ${target}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  }

  async stop(): Promise<void> {
    await this.process.kill();
  }

  async pause(): Promise<void> {
    await this.process.pause();
  }

  async #iam(body: string): Promise<string> {
    const headers = { ...signedFor("iam"), "content-type": "application/x-www-form-urlencoded" };
    const response = await fetch(this.url, { method: "POST", headers, body });
    return await response.text();
  }
}

/** moto finds service and region here; it looks at no signature as long as rights are not enforced. */
function signedFor(service: string): Record<string, string> {
  const scope = `${awsCredentials.AWS_ACCESS_KEY_ID}/20260101/${awsRegion}/${service}/aws4_request`;
  return { authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0` };
}

let found: string | undefined;

/** The Python that has moto; empty where none has. */
export function python(): string {
  const script = fileURLToPath(new URL("../../scripts/moto-server", import.meta.url));
  found ??= execFileSync(script, ["--print"], { encoding: "utf8" }).trim();
  return found;
}
