/** The store, and AWS's own client under it, against moto: a whole server that speaks Secrets Manager's protocol. */
import { createServer, type Server } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { awsStore } from "../../src/secrets/aws-store.ts";
import { SecretShelf } from "../../src/secrets/secret-shelf.ts";
import { eventually } from "../harness/eventually.ts";
import { awsCredentials, awsRegion, describeMoto, type MotoAws, startMoto } from "../harness/moto-aws.ts";
import { checkLeaks } from "../harness/spawned.ts";
import { freePort } from "../harness/temporary.ts";
import { recordingLog } from "../unit/secrets/recording-log.ts";

checkLeaks();

const OURS = /^(?:AWS_|NODE_TLS_REJECT_UNAUTHORIZED$)/;

describeMoto("AWS Secrets Manager", () => {
  let aws: MotoAws;
  let before: Record<string, string | undefined> = {};
  const arns = new Map<string, string>();

  beforeAll(async () => {
    aws = await startMoto();
    for (const [name, value] of [
      ["plain", "open-sesame"],
      ["folder/with-line-break", "open-sesame\n"],
      ["json", JSON.stringify({ engine: "timestream-influxdb", org: "edge", token: "open-sesame" })],
      ["admin", JSON.stringify({ username: "admin", password: "hunter2" })],
      ["empty", " "],
      ["two-lines", "hunter2\nhunter2"],
    ] as const) {
      arns.set(name, await aws.create(name, value));
    }
    await aws.create("binary", new TextEncoder().encode("hunter2"));
    await aws.create("deleted", "hunter2");
    await aws.delete("deleted");
  }, 60_000);
  afterAll(async () => {
    await aws.stop();
  });
  beforeEach(() => {
    before = Object.fromEntries(Object.entries(process.env).filter(([name]) => OURS.test(name)));
    for (const name of Object.keys(before)) delete process.env[name];
    Object.assign(process.env, awsCredentials, {
      // The credentials and the configuration of whoever runs the tests are not to be found.
      AWS_CONFIG_FILE: "/dev/null",
      AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
      AWS_EC2_METADATA_DISABLED: "true",
    });
  });
  afterEach(() => {
    for (const name of Object.keys(process.env).filter((known) => OURS.test(known))) delete process.env[name];
    Object.assign(process.env, before);
  });

  const store = (over: { region?: string; endpoint?: string } = {}) =>
    awsStore({ id: "aws", region: awsRegion, endpoint: aws.url, profile: undefined, ...over });
  const read = async (key: string, over: Parameters<typeof store>[0] = {}) =>
    (await store(over).read(key, AbortSignal.timeout(10_000))).reveal();

  it.each(["plain", "json#token"])("gives %s", async (key) => {
    expect(await read(key)).toBe("open-sesame");
  });

  it("gives one by its ARN, whose region is the one that is asked", async () => {
    expect(await read(arns.get("plain")!, { region: "us-west-2" })).toBe("open-sesame");
    await expect(read("plain", { region: "us-west-2" })).rejects.toMatchObject({
      code: "secret.unavailable",
    });
  });

  it("takes region and endpoint from AWS's configuration where the config has none", async () => {
    process.env.AWS_REGION = awsRegion;
    process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER = aws.url;
    const bare = awsStore({ id: "aws", region: undefined, endpoint: undefined, profile: undefined });
    expect((await bare.read("plain", AbortSignal.timeout(10_000))).reveal()).toBe("open-sesame");
  });

  it.each([
    ["nowhere", /no such secret/],
    ["deleted", /marked for deletion/],
    ["json", /JSON.*"engine", "org", "token"/],
    ["json#Token", /no field "Token"/],
    ["admin#token", /user name and a password/],
    ["plain#token", /no JSON object/],
    ["two-lines", /line break/],
    ["folder/with-line-break", /line break/],
    ["binary", /binary/],
  ])("L14 says why %s is none, and nothing of what is in it", async (key, why) => {
    await expect(read(key)).rejects.toMatchObject({
      code: "secret.unavailable",
      message: expect.stringMatching(why),
    });
    await expect(read(key)).rejects.toMatchObject({
      message: expect.not.stringMatching(/hunter2|open-sesame/),
    });
    await expect(read(key)).rejects.toMatchObject({ message: expect.stringContaining(`@{aws:${key}}`) });
  });

  it("says so where no credentials are found", async () => {
    for (const name of Object.keys(awsCredentials)) delete process.env[name];
    await expect(read("plain")).rejects.toMatchObject({
      message: expect.stringMatching(/no AWS credentials/),
    });
  });

  it("says so where nobody answers", async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    await expect(read("plain", { endpoint })).rejects.toMatchObject({
      message: expect.stringMatching(/ECONNREFUSED/),
    });
  });

  it("asks no endpoint in clear text beyond this machine, whoever has named it", async () => {
    process.env.AWS_ENDPOINT_URL = "http://192.0.2.1";
    const bare = awsStore({ id: "aws", region: awsRegion, endpoint: undefined, profile: undefined });
    await expect(bare.read("plain", AbortSignal.timeout(10_000))).rejects.toMatchObject({
      message: expect.stringMatching(/neither https/),
    });
  });

  it.each([
    ["not to be understood", 200, '{"SecretString": "hunter2', /not to be understood/],
    ["huge", 200, JSON.stringify({ SecretString: "hunter2".repeat(10_000) }), /longer than 65536/],
    ["empty", 200, "{}", /binary|empty/],
    ["an empty secret", 200, '{"SecretString": ""}', /is empty/],
    [
      "a denial",
      400,
      '{"__type": "AccessDeniedException", "Message": "hunter2"}',
      /GetSecretValue must be allowed/,
    ],
    [
      "a refusal of the credentials",
      400,
      '{"__type": "ExpiredTokenException"}',
      /does not accept the credentials/,
    ],
  ])("L14 says in its own words what is wrong with an answer: %s", async (_, status, body, why) => {
    const server = await listen(
      createServer((_request, answer) => {
        answer.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(body);
      }),
    );
    const fault: Error = await read("plain", { endpoint: `http://127.0.0.1:${server.port}` }).catch(
      (thrown) => thrown,
    );
    server.close();
    expect(fault).toMatchObject({ code: "secret.unavailable", message: expect.stringMatching(why) });
    expect(`${fault.message} ${fault.cause}`).not.toContain("hunter2");
  });

  it("gives up at the deadline where the answer does not come", async () => {
    const server = await listen(createServer(() => {}));
    const { read: readFrom } = store({ endpoint: `http://127.0.0.1:${server.port}` });
    await expect(readFrom("plain", AbortSignal.timeout(100))).rejects.toMatchObject({
      message: expect.stringMatching(/in time/),
    });
    server.close();
  });

  it("is rotated: the new value is there once it is refused, and once it is read anew", async () => {
    await aws.create("rotated", "first");
    const { log, lines } = recordingLog();
    const shelf = new SecretShelf({
      stores: new Map([["aws", store()]]),
      rereadMs: undefined,
      clock: { monotonicMs: () => performance.now() },
      random: Math.random,
      log,
    });
    const source = await shelf.open({ kind: "stored", store: "aws", key: "rotated" });
    const first = await source.current();
    await aws.put("rotated", "second");
    const second = await eventually("the second", async () => {
      const secret = await source.current(first);
      return secret.reveal() === "second" && secret;
    });
    await aws.put("rotated", "third");
    await shelf.rereadAll();
    expect((await source.current()).reveal()).toBe("third");
    await aws.delete("rotated");
    await shelf.rereadAll();
    expect((await source.current(second)).reveal()).toBe("third");
    expect(lines.map(({ event }) => event)).toEqual([
      "secret.changed",
      "secret.changed",
      "secret.unavailable",
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/first|second|third/);
    shelf.stop();
  });

  it("is read anew by itself", async () => {
    await aws.create("by-itself", "first");
    const shelf = new SecretShelf({
      stores: new Map([["aws", store()]]),
      rereadMs: 50,
      clock: { monotonicMs: () => performance.now() },
      random: Math.random,
      log: recordingLog().log,
    });
    const source = await shelf.open({ kind: "stored", store: "aws", key: "by-itself" });
    await source.current();
    await aws.put("by-itself", "second");
    await eventually("the second", async () => (await source.current()).reveal() === "second");
    shelf.stop();
  });

  // Last, for nobody may do anything from then on.
  it("says so where AWS denies it", async () => {
    Object.assign(process.env, await aws.enforceRights());
    await expect(read("plain")).rejects.toMatchObject({
      message: expect.stringMatching(/secretsmanager:GetSecretValue must be allowed/),
    });
  });
});

async function listen(server: Server): Promise<{ port: number; close: () => void }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { port, close: () => server.closeAllConnections() };
}
