import { describe, expect, it } from "vitest";
import { parseChannelListen } from "../../../src/config/address.ts";

describe("where channels are accepted", () => {
  it.each([
    ["tcp://0.0.0.0:4433", "tcp", "", "tcp://0.0.0.0:4433"],
    ["wss://[2001:DB8::1]:443/culvert", "wss", "/culvert", "wss://[2001:db8::1]:443/culvert"],
    ["ws://127.0.0.1:0/a/b-c", "ws", "/a/b-c", "ws://127.0.0.1:0/a/b-c"],
    ["wss://0.0.0.0:443", "wss", "/", "wss://0.0.0.0:443"],
    ["wss://0.0.0.0:443/", "wss", "/", "wss://0.0.0.0:443"],
  ])("%s", (text, transport, path, canonical) => {
    expect(parseChannelListen(text)).toMatchObject({ transport, path, text: canonical });
    expect(parseChannelListen(canonical)?.text).toBe(canonical);
  });

  it.each([
    ...["", "0.0.0.0:4433", "tcp://0.0.0.0", "tcp://0.0.0.0:4433/", "wss://0.0.0.0", "ws://0.0.0.0/culvert"],
    ...["wss://0.0.0.0:443/a?b", "wss://0.0.0.0:443/a#b", "wss://0.0.0.0:443/%41", "wss://0.0.0.0:443/a b"],
    ...["wss://user@0.0.0.0:443/", "wsss://0.0.0.0:443", "WSS://0.0.0.0:443", "wss://0.0.0.0:65536/"],
  ])("not %j", (text) => {
    expect(parseChannelListen(text)).toBeUndefined();
  });
});
