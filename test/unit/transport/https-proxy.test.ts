import { describe, expect, it } from "vitest";
import { isExempt, parseHttpsProxy, proxyOfEnvironment } from "../../../src/transport/https-proxy.ts";

describe("a proxy's URL", () => {
  it.each([
    ["http://proxy.example.com:3128", "http://proxy.example.com:3128"],
    ["http://Proxy.example.com", "http://proxy.example.com:80"],
    ["proxy:3128", "http://proxy:3128"],
    ["http://proxy/", "http://proxy:80"],
    ["http://user:hunter2@proxy:1", "http://proxy:1"],
    ["http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"],
  ])("%s is %s, without a user", (text, shown) => {
    expect(parseHttpsProxy(text)?.text).toBe(shown);
    expect(JSON.stringify(parseHttpsProxy(text))).not.toContain("hunter2");
  });

  it.each([
    ["user:pass", "user:pass"],
    ["user", "user:"],
    ["user:", "user:"],
    ["us%40er:p%3A%40ss", "us@er:p:@ss"],
    ["user:a:b", "user:a:b"],
    ["%C3%BC:%C3%B6", "ü:ö"],
  ])("the user %s is sent as %s", (user, sent) => {
    const { authorization } = parseHttpsProxy(`http://${user}@proxy:1`)!;
    expect(Buffer.from(authorization!.reveal().replace("Basic ", ""), "base64").toString("utf8")).toBe(sent);
  });

  it.each([
    "",
    "socks5://proxy:1080",
    "https://proxy:443",
    "http://",
    "http://proxy:0",
    "http://proxy:65536",
    "http://proxy/path",
    "http://a b@proxy:1",
    "http://p@ss@proxy:1",
    "http://%zz@proxy:1",
    "http://proxy:1\r\nX: y",
    "http://1.2.3:80",
  ])("%j is none", (text) => {
    expect(parseHttpsProxy(text)).toBeUndefined();
  });

  it("comes from the environment, the name in lower case first", () => {
    expect(proxyOfEnvironment({ HTTPS_PROXY: "b:1", https_proxy: "a:1" })).toBe("a:1");
    expect(proxyOfEnvironment({ HTTPS_PROXY: "b:1", https_proxy: "" })).toBe("b:1");
    expect(proxyOfEnvironment({ HTTP_PROXY: "c:1", http_proxy: "c:1" })).toBeUndefined();
  });
});

describe("no_proxy", () => {
  const exempt = (list: string, host: string, port = 443) => isExempt({ host, port }, { no_proxy: list });

  it.each([
    ["*", "any.example"],
    ["example.com", "example.com"],
    ["example.com", "a.b.example.com"],
    [".example.com", "a.example.com"],
    ["*.example.com", "a.example.com"],
    ["EXAMPLE.com.", "a.example.com"],
    ["a.example , b.example", "b.example"],
    ["a.example b.example", "b.example"],
    ["example.com:443", "a.example.com"],
    ["192.0.2.7", "192.0.2.7"],
    ["192.0.2.7:443", "192.0.2.7"],
    ["10.0.0.0/8", "10.200.1.1"],
    ["2001:db8::/32", "2001:db8::7"],
    ["[2001:db8::7]:443", "2001:db8::7"],
    ["2001:db8::7", "2001:db8::7"],
  ])("%s lets %s go without", (list, host) => {
    expect(exempt(list, host)).toBe(true);
  });

  it.each([
    ["", "any.example"],
    ["example.com", "notexample.com"],
    ["a.example.com", "example.com"],
    ["example.com:8443", "example.com"],
    ["192.0.2.7:80", "192.0.2.7"],
    ["192.0.2.7", "192.0.2.70"],
    ["2.7", "192.0.2.7"],
    ["10.0.0.0/8", "11.0.0.1"],
    ["10.0.0.0/8", "host.example"],
    ["10.0.0.0/99", "10.0.0.1"],
    ["10.0.0.0/x", "10.0.0.1"],
    ["::/0", "10.0.0.1"],
    [".", "example.com"],
    [",,", "example.com"],
  ])("%s does not let %s go without", (list, host) => {
    expect(exempt(list, host)).toBe(false);
  });

  it("is looked for in upper case, too", () => {
    expect(isExempt({ host: "a.example", port: 443 }, { NO_PROXY: "a.example" })).toBe(true);
  });
});
