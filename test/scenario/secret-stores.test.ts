import { chmod, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { culvert, makePair, type Pair, writeLines } from "../harness/culvert.ts";
import { awsCredentials, awsRegion } from "../harness/moto-aws.ts";
import { checkLeaks, run } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";
import { CertificateAuthority, startTlsFront } from "../harness/tls-front.ts";

checkLeaks();

/** A pair whose outlet has its token from somewhere. */
async function pairWith(
  influx: StandInInfluxDb,
  token: { reference: string; tables?: string; env?: Readonly<Record<string, string>> },
): Promise<Pair> {
  const pair = await makePair({ influxUrl: influx.url, adminToken: "not used" });
  pair.outlet.env = token.env ?? {};
  const config = await readFile(pair.outlet.configFile, "utf8");
  await writeFile(
    pair.outlet.configFile,
    config
      .replace("@{env:INFLUXDB_TOKEN}", token.reference)
      .replace("[channel]", `${token.tables ?? ""}\n[channel]`),
  );
  return pair;
}

/** What `config check` says of it. */
async function check(
  { outlet }: Pair,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | undefined; text: string }> {
  const ended = await culvert(["config", "check", "--config", outlet.configFile], {
    binary: "culvert-outlet",
    env,
  });
  return { code: ended.exit.code, text: ended.output };
}

describe("the outlet's own token", () => {
  it("is one of systemd's credentials", async () => {
    const influx = await startStandInInfluxDb();
    const credentials = await tempDir("credentials");
    const pair = await pairWith(influx, {
      reference: "@{systemd:influxdb}",
      env: { CREDENTIALS_DIRECTORY: credentials },
    });
    await writeFile(join(credentials, "influxdb"), `${influx.operatorToken.reveal()}\n`, { mode: 0o400 });
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    await pair.stop();

    const outside = await culvert(["run", "--config", pair.outlet.configFile], { binary: "culvert-outlet" });
    expect(outside.exit.code).toBe(1);
    expect(outside.stderr).toMatch(/@\{systemd:influxdb\}: there is no CREDENTIALS_DIRECTORY/);
    await influx.stop();
  });

  it("L14 is what a command prints, and is in no log, status or argument", async () => {
    const influx = await startStandInInfluxDb();
    const folder = await tempDir("command");
    const program = join(folder, "print");
    await writeFile(program, '#!/bin/sh\necho "complaint about $2" >&2\nexec cat "$VAULT_FOLDER/$2"\n');
    await chmod(program, 0o700);
    await writeFile(join(folder, "influxdb"), `${influx.operatorToken.reveal()}\n`, { mode: 0o600 });
    const pair = await pairWith(influx, {
      reference: "@{vault:influxdb}",
      tables: `[[secretstores.command]]\nid = "vault"\ncommand = ["${program}", "get", "{key}"]\nenvironment = ["VAULT_FOLDER"]`,
      env: { VAULT_FOLDER: folder },
    });
    await pair.outlet.start();
    await pair.inlet.start();
    await pair.inlet.untilReady();
    expect((await writeLines(pair.url, "m v=1 1")).status).toBe(204);
    const { pid } = pair.outlet.process;
    const arguments_ = await run({ command: "ps", args: ["-o", "args=", "-p", String(pid)] });
    const told = `${pair.outlet.log}${JSON.stringify(await pair.outlet.status())}${arguments_.stdout}`;
    expect(told).toContain("culvert-outlet");
    expect(told).not.toContain(influx.operatorToken.reveal());
    await pair.stop();

    await writeFile(program, "#!/bin/sh\necho hunter2; echo hunter2 >&2; exit 7\n");
    const failed = await check(pair, { VAULT_FOLDER: folder });
    expect(failed).toMatchObject({ code: 1, text: expect.stringMatching(/exit code 7/) });
    expect(failed.text).not.toContain("hunter2");
    await influx.stop();
  });
});

describe("AWS Secrets Manager", () => {
  it("F2 is asked over verified TLS alone, whatever the environment says", async () => {
    const influx = await startStandInInfluxDb();
    const manager = await startManager(influx.operatorToken.reveal());
    const authority = await CertificateAuthority.make("ours");
    const front = await startTlsFront({
      certificate: authority.issue("manager", "IP:127.0.0.1"),
      target: manager.url,
    });
    const pair = await pairWith(influx, {
      reference: "@{aws:influxdb}",
      tables: `[secretstores.aws-secretsmanager]\nregion = "${awsRegion}"\nendpoint = "${front.url}"`,
    });
    const trusted = { ...awsCredentials, NODE_EXTRA_CA_CERTS: authority.certFile };
    expect(await check(pair, trusted)).toMatchObject({ code: 0 });
    expect(manager.asked()).toBe(1);
    const refused = await check(pair, { ...awsCredentials, NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    expect(refused).toMatchObject({
      code: 1,
      text: expect.stringMatching(/cannot be reached \([A-Z_]*(?:CERT|VERIFY)/),
    });
    expect(manager.asked()).toBe(1);
    front.close();
    manager.close();
    await influx.stop();
  });

  it("F3 is asked, and so is the instance for credentials, past any proxy of the environment", async () => {
    const influx = await startStandInInfluxDb();
    const manager = await startManager(influx.operatorToken.reveal());
    const proxy = await startManager("nothing");
    const instance = await startInstance();
    const env = {
      ...Object.fromEntries(
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"].map((name) => [
          name,
          proxy.url,
        ]),
      ),
      NODE_USE_ENV_PROXY: "1",
      AWS_EC2_METADATA_SERVICE_ENDPOINT: instance.url,
    };
    // It is heeded where nobody takes care.
    const bun = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
    const probe = `require("node:http").get("${instance.url}", (answer) => answer.resume()).on("error", () => {})`;
    await run({ command: bun, args: ["-e", probe], env });
    expect(proxy.asked()).toBe(1);

    const pair = await pairWith(influx, {
      reference: "@{aws:influxdb}",
      tables: `[secretstores.aws-secretsmanager]\nregion = "${awsRegion}"\nendpoint = "${manager.url}"`,
    });
    expect(await check(pair, env)).toMatchObject({ code: 0 });
    expect(instance.asked()).toBeGreaterThan(0);
    expect(manager.asked()).toBe(1);
    expect(proxy.asked()).toBe(1);
    for (const server of [manager, proxy, instance]) server.close();
    await influx.stop();
  });
});

interface Listening {
  readonly url: string;
  asked(): number;
  close(): void;
}

/** Just enough of Secrets Manager: one secret under any name. */
async function startManager(secret: string): Promise<Listening> {
  return await listen(
    createServer((request, answer) => {
      request.resume();
      answer.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
      answer.end(JSON.stringify({ SecretString: secret }));
    }),
  );
}

/** Just enough of an instance's metadata service: a session token, a role, its credentials. */
async function startInstance(): Promise<Listening> {
  return await listen(
    createServer((request, answer) => {
      const target = request.url ?? "";
      if (target.endsWith("/api/token")) answer.end("session");
      else if (target.endsWith("/security-credentials/")) answer.end("outlet");
      else {
        answer.end(
          JSON.stringify({
            Code: "Success",
            AccessKeyId: awsCredentials.AWS_ACCESS_KEY_ID,
            SecretAccessKey: awsCredentials.AWS_SECRET_ACCESS_KEY,
            Token: "session",
            Expiration: new Date(Date.now() + 3_600_000).toISOString(),
          }),
        );
      }
    }),
  );
}

async function listen(server: Server): Promise<Listening> {
  let requests = 0;
  server.on("request", () => requests++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    asked: () => requests,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
