/** All vectors through both providers on the runtime that runs this; prints the counts as JSON. */
import { nobleProvider } from "../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../src/crypto/node-provider.ts";
import { families } from "./conformance.ts";

const counts = Object.fromEntries(
  [nodeProvider, nobleProvider].map((provider) => [
    provider.name,
    Object.fromEntries(Object.entries(families).map(([name, run]) => [name, run(provider)])),
  ]),
);
console.log(JSON.stringify(counts));
