/**
 * AWS Secrets Manager as a store, by AWS's own client, which is loaded when the first secret is asked for.
 * Credentials come from where AWS's tools have them: environment, shared config, SSO, container, instance.
 */

import http from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { Fault } from "../base/fault.ts";
import { isLoopback, parseTcpListen } from "../config/address.ts";
import { fitSecret, secretName } from "../config/secret-store.ts";
import { awsTrouble } from "./aws-trouble.ts";
import { fieldOf } from "./json-field.ts";
import { DEADLINE_MS, type SecretStore } from "./secret-store.ts";

export interface AwsStoreOptions {
  readonly id: string;
  /** Absent: the one that AWS's configuration says. An ARN names its own. */
  readonly region: string | undefined;
  /** `https://host[:port]`, or http on loopback; absent: AWS's own. */
  readonly endpoint: string | undefined;
  /** A profile of AWS's shared configuration. */
  readonly profile: string | undefined;
}

const CONNECT_TIMEOUT_MS = 3_000;

export function awsStore(options: AwsStoreOptions): SecretStore {
  const clients = new Map<string, Promise<SecretsManagerClient>>();
  const clientFor = (region: string | undefined): Promise<SecretsManagerClient> => {
    const known = clients.get(region ?? "");
    if (known) return known;
    const made = makeClient({ ...options, region });
    clients.set(region ?? "", made);
    return made;
  };
  return {
    isRemote: true,
    deadlineMs: DEADLINE_MS,
    async read(key, signal) {
      const name = secretName({ store: options.id, key });
      const [id = "", field] = key.split("#");
      let text: string | undefined;
      try {
        const { GetSecretValueCommand } = await import("@aws-sdk/client-secrets-manager");
        const client = await clientFor(regionOf(id) ?? options.region);
        const answer = await client.send(new GetSecretValueCommand({ SecretId: id }), {
          abortSignal: signal,
        });
        text = answer.SecretString;
      } catch (thrown) {
        // No cause: the client's errors may quote the answer.
        throw new Fault("secret.unavailable", `${name}: ${awsTrouble(thrown)}`);
      }
      if (text === undefined) throw new Fault("secret.unavailable", `${name} is binary, not text`);
      return fitSecret(name, fieldOf(name, text, field));
    },
  };
}

/** `arn:partition:secretsmanager:region:account:secret:name` */
function regionOf(id: string): string | undefined {
  return /^arn:[^:]*:secretsmanager:([a-z0-9-]+):/.exec(id)?.[1];
}

async function makeClient({ region, endpoint, profile }: AwsStoreOptions): Promise<SecretsManagerClient> {
  const { SecretsManagerClient } = await import("@aws-sdk/client-secrets-manager");
  // An instance's credentials are asked for, in clear text, by the process's own agent, which a variable of the
  // environment may send to a proxy. Nothing else of ours uses it.
  http.globalAgent = new http.Agent();
  const client = new SecretsManagerClient({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    requestHandler: {
      // Said outright, so that no environment variable can bring in a proxy or turn verification off.
      httpsAgent: new HttpsAgent({ rejectUnauthorized: true, minVersion: "TLSv1.2" }),
      httpAgent: new http.Agent(),
      connectionTimeout: CONNECT_TIMEOUT_MS,
    },
  });
  // AWS's own configuration may name an endpoint, too.
  client.middlewareStack.add(
    (next) => async (args) => {
      if (!isSafe(args.request)) throw new UnsafeEndpoint();
      return await next(args);
    },
    { step: "build", name: "refuseClearText" },
  );
  return client;
}

class UnsafeEndpoint extends Error {
  override readonly name = "UnsafeEndpoint";
}

/** Encrypted, or within this machine. */
function isSafe(request: unknown): boolean {
  const { protocol, hostname } = request as { readonly protocol?: string; readonly hostname?: string };
  if (protocol === "https:") return true;
  const address = parseTcpListen(`${hostname}:80`);
  return address !== undefined && isLoopback(address);
}
