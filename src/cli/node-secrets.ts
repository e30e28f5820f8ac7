/** The node's secrets by its config: the stores that it names, as far as this build has them. */
import { systemClock } from "../base/clock.ts";
import { type Log, silentLog } from "../base/log.ts";
import type { Config } from "../config/config.ts";
import { readSecretFile } from "../config/secret-file.ts";
import type { Environment } from "../config/substitution.ts";
import type { AwsStoreOptions } from "../secrets/aws-store.ts";
import { commandStore } from "../secrets/command-store.ts";
import { SecretShelf } from "../secrets/secret-shelf.ts";
import { localStores, type SecretStore } from "../secrets/secret-store.ts";

/** Of the builds that have it: the minimal edge build carries none of AWS's code. */
export type AwsStore = (options: AwsStoreOptions) => SecretStore;

export function openSecrets(options: {
  readonly config: Pick<Config, "agent" | "secretStores">;
  readonly aws: AwsStore | undefined;
  readonly env: Environment;
  readonly log: Log;
}): SecretShelf {
  const { config, aws, env, log } = options;
  const { awsSecretsManager, command } = config.secretStores;
  const stores = new Map(localStores({ env, readFile: readSecretFile }));
  for (const one of command) stores.set(one.id, commandStore({ ...one, env }));
  if (aws && awsSecretsManager) stores.set(awsSecretsManager.id, aws(awsSecretsManager));
  return new SecretShelf({
    stores,
    rereadMs: config.agent.secretsRereadMs,
    clock: systemClock,
    random: Math.random,
    log,
  });
}

/** For commands that look and end: the secrets are there while `use` runs. */
export async function withSecrets<T>(
  options: Omit<Parameters<typeof openSecrets>[0], "log">,
  use: (secrets: SecretShelf) => Promise<T>,
): Promise<T> {
  const secrets = openSecrets({ ...options, log: silentLog });
  try {
    return await use(secrets);
  } finally {
    secrets.stop();
  }
}
