import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { generateIdentity } from "../../../src/identity/identity.ts";
import { diallable, parseNodeAddress, withName } from "../../../src/identity/node-address.ts";

const { identifier } = generateIdentity(nodeProvider);

describe("an address of a node", () => {
  it.each([
    ["tcp://Outlet.example.com:4433", "tcp://outlet.example.com:4433"],
    ["tcp://[2001:DB8:0::1]:1", "tcp://[2001:db8::1]:1"],
    ["tcp://relay:4434#influxdb", "tcp://relay:4434#influxdb"],
    [`tcp://${identifier}@relay:4434#a.b_c-d`, `tcp://${identifier}@relay:4434#a.b_c-d`],
    ["wss://lb.example.com", "wss://lb.example.com:443"],
    ["wss://lb.example.com/", "wss://lb.example.com:443"],
    ["wss://lb.example.com:8443/edge/culvert", "wss://lb.example.com:8443/edge/culvert"],
    [`wss://${identifier}@lb.example.com/x#plant`, `wss://${identifier}@lb.example.com:443/x#plant`],
  ])("%s is %s", (text, canonical) => {
    expect(parseNodeAddress(text)?.text).toBe(canonical);
    expect(parseNodeAddress(canonical)).toEqual(parseNodeAddress(text));
  });

  it.each([
    "",
    "outlet:4433",
    "udp://outlet:4433",
    "http://outlet:4433",
    "tcp://outlet",
    "tcp://outlet:0",
    "tcp://outlet:65536",
    "tcp://outlet:4433/path",
    "tcp://1.2.3:4433",
    "tcp://outlet:4433#",
    "tcp://outlet:4433#-x",
    "tcp://outlet:4433#a#b",
    `tcp://outlet:4433#${"n".repeat(65)}`,
    "tcp://someone@outlet:4433#n",
    `tcp://${identifier.slice(0, -1)}@outlet:4433#n`,
    "wss://outlet/a?b",
    "wss://outlet/a%2fb",
    "wss://outlet/a b",
    "wss://outlet:443x/",
    "ws://outlet/",
    `tcp://${"a".repeat(250)}:1`,
  ])("%s is none", (text) => {
    expect(parseNodeAddress(text)).toBeUndefined();
  });

  it("takes another name at the same relay", () => {
    const address = parseNodeAddress(`tcp://${identifier}@relay:4434`)!;
    expect(withName(address, "plant").text).toBe(`tcp://${identifier}@relay:4434#plant`);
  });

  it("what cannot be dialled is left out of a list", () => {
    expect(diallable(["quic://a:1", "tcp://a:1", "nonsense", "wss://b"]).map(({ text }) => text)).toEqual([
      "tcp://a:1",
      "wss://b:443",
    ]);
  });

  it("any text is an address with a spelling of its own, or none", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300, unit: "binary-ascii" }), (text) => {
        const address = parseNodeAddress(`tcp://${text}`);
        return address === undefined || parseNodeAddress(address.text)?.text === address.text;
      }),
    );
  });
});
