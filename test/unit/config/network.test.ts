import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Problem } from "../../../src/config/finding.ts";
import { parseNetwork } from "../../../src/config/network.ts";
import { findingsOf, inletText, outletText, parse } from "./fixture.ts";

describe("networks", () => {
  it.each([
    ["192.0.2.0/24", { version: 4, address: "192.0.2.0", prefixBits: 24, text: "192.0.2.0/24" }],
    ["192.0.2.7", { version: 4, address: "192.0.2.7", prefixBits: 32, text: "192.0.2.7/32" }],
    ["0.0.0.0/0", { version: 4, address: "0.0.0.0", prefixBits: 0, text: "0.0.0.0/0" }],
    ["10.64.0.0/10", { version: 4, address: "10.64.0.0", prefixBits: 10, text: "10.64.0.0/10" }],
    ["2001:DB8:0:0::/32", { version: 6, address: "2001:db8::", prefixBits: 32, text: "2001:db8::/32" }],
    ["2001:db8:8000::/33", { version: 6, address: "2001:db8:8000::", prefixBits: 33 }],
    ["::1", { version: 6, address: "::1", prefixBits: 128, text: "::1/128" }],
    ["::/0", { version: 6, address: "::", prefixBits: 0 }],
  ])("%s", (text, network) => {
    expect(parseNetwork(text)).toMatchObject(network);
  });

  it.each([
    ...["", "/", "/24", "192.0.2.0/", "192.0.2.0/024", "192.0.2.0/-1", "192.0.2.0/24/1", "192.0.2.0 /24"],
    ...["192.0.2/24", "010.0.0.0/8", "256.0.0.0/8", "host", "host/8", "192.0.2.0:80", "[::1]", "::1%eth0"],
    ...["1:2:3:4:5:6:7:8:9", ":::", "0x7f.0.0.1", "2130706433", "*"],
  ])("not %j", (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });

  it.each([
    ["192.0.2.9/24", "192.0.2.0/24"],
    ["10.0.0.1/0", "0.0.0.0/0"],
    ["192.0.2.255/31", "192.0.2.254/31"],
    ["2001:db8::1/32", "2001:db8::/32"],
    ["2001:db8:8000::/32", "2001:db8::/32"],
    ["::ffff:192.0.2.0/120", "192.0.2.0/24"],
    ["::ffff:c000:207", "192.0.2.7/32"],
  ])("%s is not one, and the right one is said: %s", (text, right) => {
    const problem = parseNetwork(text);
    expect(problem).toBeInstanceOf(Problem);
    expect((problem as Problem).text).toContain(JSON.stringify(right));
  });

  it.each(["192.0.2.0/33", "::/129"])("%s has more bits than there are", (text) => {
    expect(parseNetwork(text)).toBeInstanceOf(Problem);
  });

  it("reads what it writes", () => {
    const bits = fc.integer({ min: 0, max: 128 });
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), bits, (address, most) => {
        const read = parseNetwork(`${address}/${address.includes(":") ? most : most % 33}`);
        const text = read instanceof Problem ? /"([^"]+)"(?: for|$)/.exec(read.text)?.[1] : read?.text;
        if (text === undefined) return; // an IPv6 with an IPv4 tail that this runtime's URL does not know
        expect(parseNetwork(text)).toMatchObject({ text });
      }),
    );
  });
});

describe("allow_from", () => {
  it("is a list of networks, empty by default, of the channel and of an inlet", () => {
    expect(parse(outletText).channel.allowFrom).toEqual([]);
    const text = outletText.replace("[channel]", '[channel]\nallow_from = ["192.0.2.0/24", "2001:db8::7"]');
    expect(parse(text).channel.allowFrom.map((network) => network.text)).toEqual([
      "192.0.2.0/24",
      "2001:db8::7/128",
    ]);
    const [inlet] = parse(`${inletText}allow_from = ["192.0.2.0/24"]\n`).inlets.influxdb;
    expect(inlet?.allowFrom).toMatchObject([{ text: "192.0.2.0/24" }]);
  });

  it("is found wrong at its line, item by item", () => {
    const text = `${inletText}allow_from = ["192.0.2.0/24",\n"192.0.2.9/24",\n"example.com"]\n`;
    const line = inletText.split("\n").length;
    const [bits, name] = findingsOf(() => parse(text));
    expect(bits).toMatch(new RegExp(`:${line + 1}: .*"allow_from" item 2 .*"192\\.0\\.2\\.0/24"`));
    expect(name).toMatch(
      new RegExp(`:${line + 2}: .*"allow_from" item 3 must be "address" or "address/bits"`),
    );
  });

  it("does nothing on a Unix socket, which is said", () => {
    const text = `${inletText}listen = "unix:///run/culvert.sock"\nallow_from = ["192.0.2.0/24"]\n`;
    expect(findingsOf(() => parse(text))[0]).toContain("Unix socket");
  });
});
