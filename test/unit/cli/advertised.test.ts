import { expect, it } from "vitest";
import { advertised } from "../../../src/cli/advertised.ts";
import { parseChannelListen } from "../../../src/config/address.ts";
import { diallable } from "../../../src/identity/node-address.ts";

const channel = (listen: readonly string[], advertise: readonly string[] = []) => ({
  channel: {
    listen: listen.map((text) => parseChannelListen(text)!),
    advertise: diallable(advertise),
    relays: diallable(["wss://relay.example.com/r"]),
    relayName: undefined,
  },
  outlets: { influxdb: [{ service: "plant" }], tcp: [] },
});

const AT_RELAY = "wss://relay.example.com:443/r#plant";

it("what cannot be dialled is not told: wildcards, and what is behind a load balancer; then relays", () => {
  const listen = [
    "tcp://0.0.0.0:1",
    "ws://192.0.2.7:2/culvert",
    "wss://192.0.2.7:0/culvert",
    "tcp://192.0.2.7:0",
  ];
  const bound = [
    "tcp://0.0.0.0:1",
    "ws://192.0.2.7:2/culvert",
    "wss://192.0.2.7:3/culvert",
    "tcp://192.0.2.7:4",
  ];
  expect(advertised(channel(listen), bound)).toEqual([
    "wss://192.0.2.7:3/culvert",
    "tcp://192.0.2.7:4",
    AT_RELAY,
  ]);
});

it("what the config advertises is told, and the relays, and nothing else", () => {
  const told = ["wss://culvert.example.com:443/culvert"];
  expect(advertised(channel(["ws://127.0.0.1:1/culvert"], told))).toEqual([...told, AT_RELAY]);
});
