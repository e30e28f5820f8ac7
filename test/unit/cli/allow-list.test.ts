import { describe, expect, it } from "vitest";
import { allowList } from "../../../src/cli/allow-list.ts";
import { type Network, parseNetwork } from "../../../src/config/network.ts";

async function listOf(...texts: string[]): Promise<(address: string) => boolean> {
  return (await allowList(texts.map((text) => parseNetwork(text) as Network)))!;
}

describe("a list of networks", () => {
  it("is none when it is empty, and then allows everybody", async () => {
    expect(await allowList([])).toBeUndefined();
  });

  it.each([
    ["192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.1.255", "192.0.3.0", "::1"]],
    ["192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.70"]],
    ["10.64.0.0/10", ["10.64.0.1", "10.127.255.255"], ["10.63.255.255", "10.128.0.0"]],
    ["2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db7::1", "2001:db9::", "192.0.2.7"]],
    ["2001:db8:8000::/33", ["2001:db8:8000::1"], ["2001:db8:7fff::1"]],
    ["fe80::/10", ["fe80::1%eth0", "fe80::1"], ["fec0::1%eth0"]],
    ["0.0.0.0/0", ["1.2.3.4"], ["::1", "2001:db8::1"]],
    ["::/0", ["::1", "2001:db8::1"], ["1.2.3.4"]],
  ])("%s", async (network, inside, outside) => {
    const allows = await listOf(network);
    expect(inside.filter((address) => !allows(address))).toEqual([]);
    expect(outside.filter((address) => allows(address))).toEqual([]);
  });

  it("takes an IPv4 address for what it is when it comes in as IPv6", async () => {
    const allows = await listOf("192.0.2.0/24");
    expect([allows("::ffff:192.0.2.9"), allows("::FFFF:192.0.2.9")]).toEqual([true, true]);
    expect([allows("::ffff:192.0.3.9"), allows("::192.0.2.9")]).toEqual([false, false]);
    expect((await listOf("::/0"))("::ffff:192.0.2.9")).toBe(false);
  });

  it("allows nothing that is no address", async () => {
    const allows = await listOf("0.0.0.0/0", "::/0");
    expect(["", "unknown", "host", "/run/x.sock", "192.0.2.9:80"].filter(allows)).toEqual([]);
  });
});
