/**
 * An authority that enrolls devices without end, and says what it has answered, line by line, each only
 * when the answer is out: `ticket <id> <uses> <text>` and `granted <ticket id> <private key>`.
 */
import { writeSync } from "node:fs";
import { Authority } from "../../../src/authority/authority.ts";
import { openAuthorityStore } from "../../../src/authority/authority-store.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLog } from "../../../src/base/log.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { parseAttributes } from "../../../src/identity/attributes.ts";
import { Identity } from "../../../src/identity/identity.ts";
import { attemptOf, newDevice } from "./authority-bed.ts";

const [path = "", key = ""] = process.argv.slice(2);
const say = (...words: unknown[]) => writeSync(1, `${words.join(" ")}\n`);

let attempts = 0;
const authority = new Authority({
  store: await openAuthorityStore(path),
  key: new Identity(Buffer.from(key, "hex"), nodeProvider),
  provider: nodeProvider,
  // A second for each attempt: nobody is to be refused for coming too soon.
  clock: { wallMs: systemClock.wallMs, monotonicMs: () => attempts * 1_000 },
  random: Math.random,
  log: silentLog,
  credentialLifetimeMs: 86_400_000,
  clones: "warn",
  addresses: () => ["tcp://127.0.0.1:1"],
});

for (;;) {
  const uses = 1 + (attempts % 3);
  const attributes = parseAttributes({ "influxdb-inlet": "true" });
  const { ticketId, text } = authority.createTicket({ attributes, uses, expiresInMs: 600_000, service: "s" });
  say("ticket", ticketId, uses, text.reveal());
  for (let i = 0; i < uses; i++) {
    attempts += 1;
    const device = newDevice();
    authority.enroll(attemptOf(device, text.reveal()));
    say("granted", ticketId, Buffer.from(device.revealPrivateKey()).toString("hex"));
  }
}
