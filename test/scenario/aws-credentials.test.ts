import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { culvert, makePair } from "../harness/culvert.ts";
import { awsCredentials, awsRegion, describeMoto, type MotoAws, startMoto } from "../harness/moto-aws.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { type StandInInfluxDb, startStandInInfluxDb } from "../harness/stand-in-influxdb.ts";
import { tempDir } from "../harness/temporary.ts";

checkLeaks();

const ROLE = "arn:aws:iam::123456789012:role/outlet";
const KEYS = [
  `aws_access_key_id = ${awsCredentials.AWS_ACCESS_KEY_ID}`,
  `aws_secret_access_key = ${awsCredentials.AWS_SECRET_ACCESS_KEY}`,
].join("\n");

describeMoto("AWS credentials of the compiled outlet", () => {
  let aws: MotoAws;
  let influx: StandInInfluxDb;
  let folder = "";
  let container = { url: "", close: () => {} };

  beforeAll(async () => {
    aws = await startMoto();
    influx = await startStandInInfluxDb();
    await aws.create("influxdb", influx.operatorToken.reveal());
    folder = await tempDir("aws");
    container = await startContainer();
    const program = join(folder, "credentials.json");
    await writeFile(program, JSON.stringify({ Version: 1, ...keys() }));
    await writeFile(join(folder, "web-identity"), "e30.e30.e30");
    await writeFile(
      join(folder, "config"),
      [
        `[profile keys]\n${KEYS}`,
        `[profile role]\nrole_arn = ${ROLE}\nsource_profile = keys`,
        `[profile program]\ncredential_process = /bin/cat ${program}`,
        "[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r",
        "[sso-session s]\nsso_start_url = https://example.com\nsso_region = eu-central-1",
      ].join("\n"),
    );
  }, 60_000);
  afterAll(async () => {
    container.close();
    await aws.stop();
    await influx.stop();
  });

  async function check(profile: string | undefined, env: Readonly<Record<string, string>>) {
    const { outlet } = await makePair({ influxUrl: influx.url, adminToken: "not used" });
    const config = await readFile(outlet.configFile, "utf8");
    const store = `[secretstores.aws-secretsmanager]\nendpoint = "${aws.url}"\nregion = "${awsRegion}"`;
    await writeFile(
      outlet.configFile,
      config
        .replace("@{env:INFLUXDB_TOKEN}", "@{aws:influxdb}")
        .replace("[channel]", `${store}\n${profile ? `profile = "${profile}"` : ""}\n[channel]`),
    );
    const ended = await culvert(["config", "check", "--config", outlet.configFile], {
      binary: "culvert-outlet",
      env: {
        AWS_CONFIG_FILE: join(folder, "config"),
        AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
        AWS_EC2_METADATA_DISABLED: "true",
        AWS_ENDPOINT_URL_STS: aws.url,
        ...env,
      },
    });
    return { code: ended.exit.code, text: ended.output };
  }

  it.each([
    ["the environment", undefined, () => awsCredentials],
    ["a profile with keys", "keys", () => ({})],
    ["a profile that assumes a role", "role", () => ({})],
    ["a program that a profile names", "program", () => ({})],
    ["the variable for a profile", undefined, () => ({ AWS_PROFILE: "keys" })],
    ["a container", undefined, () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: container.url })],
    [
      "a web identity, as in Kubernetes",
      undefined,
      () => ({ AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, "web-identity"), AWS_ROLE_ARN: ROLE }),
    ],
  ] as const)("come from %s", async (_, profile, env) => {
    expect(await check(profile, env())).toMatchObject({ code: 0 });
  });

  it("of a sign-on session that is over are a fault that says so", async () => {
    expect(await check("sso", {})).toMatchObject({
      code: 1,
      text: expect.stringMatching(/no AWS credentials that can be used.*sign-on/),
    });
  });

  it("that are nowhere are a fault that says so", async () => {
    expect(await check(undefined, {})).toMatchObject({
      code: 1,
      text: expect.stringMatching(/no AWS credentials/),
    });
  });
});

function keys(): Record<string, string> {
  return {
    AccessKeyId: awsCredentials.AWS_ACCESS_KEY_ID,
    SecretAccessKey: awsCredentials.AWS_SECRET_ACCESS_KEY,
  };
}

/** What a container's runtime offers to those in it. */
async function startContainer(): Promise<{ url: string; close: () => void }> {
  const server = createServer((_, answer) => {
    const expiration = new Date(Date.now() + 3_600_000).toISOString();
    answer.end(JSON.stringify({ ...keys(), Token: "session", Expiration: expiration }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}/credentials`, close: () => server.close() };
}
