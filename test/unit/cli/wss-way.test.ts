import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Secret } from "../../../src/base/secret.ts";
import { environmentWay, openWssWay, wssFindings } from "../../../src/cli/wss-way.ts";
import { parseNodeAddress } from "../../../src/identity/node-address.ts";
import { tempDir } from "../../harness/temporary.ts";
import { CertificateAuthority } from "../../harness/tls-front.ts";

const address = parseNodeAddress("wss://culvert.example.com/culvert")!;
function optionsOf({
  proxy,
  env = {},
  tlsCa,
}: {
  proxy?: string;
  env?: Record<string, string>;
  tlsCa?: string;
}) {
  const httpsProxy =
    proxy === undefined
      ? undefined
      : ({ kind: "literal", secret: new Secret(proxy), inClear: true } as const);
  const source = { current: async () => new Secret(proxy ?? "") };
  const secrets = { open: async () => source } as never;
  return { channel: { httpsProxy, tlsCa, wssHost: undefined }, secrets, env };
}

describe("which proxy", () => {
  it.each<[string, string | undefined, string | undefined, Record<string, string>]>([
    ["none where nothing names one", undefined, undefined, {}],
    ["the environment's", "http://e:1", undefined, { https_proxy: "http://e:1" }],
    ["the key's before the environment's", "http://k:1", "http://k:1", { https_proxy: "http://e:1" }],
    ["none where the key is off", undefined, "off", { https_proxy: "http://e:1" }],
    ["none for what no_proxy names", undefined, "http://k:1", { no_proxy: "example.com" }],
    ["none of plain HTTP's", undefined, undefined, { http_proxy: "http://e:1", all_proxy: "http://e:1" }],
  ])("%s", async (_what, expected, proxy, env) => {
    const way = await openWssWay(optionsOf({ env, ...(proxy !== undefined && { proxy }) }));
    expect((await way(address)).proxy?.text).toBe(expected);
    if (proxy === undefined) expect((await environmentWay(env)(address)).proxy?.text).toBe(expected);
  });

  it.each(["socks5://user:hunter2@proxy:1", "https://user:hunter2@proxy", "http://us er:hunter2@proxy:1"])(
    "one that cannot be used is a finding that says where it is written, not what (%#)",
    async (proxy) => {
      const byKey = await wssFindings(optionsOf({ proxy }));
      const byEnvironment = await wssFindings(optionsOf({ env: { HTTPS_PROXY: proxy } }));
      expect([byKey, byEnvironment]).toEqual([
        [expect.stringContaining('[channel] key "https_proxy" must be http://')],
        [expect.stringContaining("the environment's https_proxy must be http://")],
      ]);
      expect(`${byKey}${byEnvironment}`).not.toContain("hunter2");
    },
  );
});

describe("whom it trusts", () => {
  it("is read for each connection", async () => {
    const [first, second] = [
      await CertificateAuthority.make("first"),
      await CertificateAuthority.make("second"),
    ];
    const tlsCa = join(await tempDir("wss-way"), "ca.pem");
    await writeFile(tlsCa, first.pem);
    const way = await openWssWay(optionsOf({ tlsCa }));
    expect((await way(address)).ca).toBe(first.pem.trim());
    await writeFile(tlsCa, second.pem);
    expect((await way(address)).ca).toBe(second.pem.trim());
  });

  it("a file that holds no certificate is a finding", async () => {
    const tlsCa = join(await tempDir("wss-way"), "ca.pem");
    expect(await wssFindings(optionsOf({ tlsCa }))).toEqual([expect.stringContaining("tls_ca")]);
    await writeFile(tlsCa, "nothing");
    expect(await wssFindings(optionsOf({ tlsCa }))).toEqual([
      expect.stringContaining("holds no PEM certificate"),
    ]);
  });
});
