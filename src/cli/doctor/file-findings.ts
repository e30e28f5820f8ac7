/** Who may read and write the node's files: its config, its state, its secrets. Modes alone are looked at. */
import type { Stats } from "node:fs";
import { lstat, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../../config/config.ts";
import type { SecretReference } from "../../config/secret-reference.ts";
import type { Finding } from "./finding.ts";

/** Far more than a state directory holds. */
const MAX_STATE_FILES = 200;

/** @param config what is in them, as far as it could be read. */
export async function configFileFindings(files: readonly string[], config?: Config): Promise<Finding[]> {
  const secrets = config ? secretsOf(config) : [];
  const holdsSecret = secrets.some((secret) => secret.kind === "literal" && secret.inClear);
  const findings = await Promise.all(files.map((path) => configFileFinding(path, holdsSecret)));
  return findings.flat();
}

export async function stateFindings(stateDir: string): Promise<Finding[]> {
  const check = "files.state";
  const found = await stat(stateDir).catch((cause: NodeJS.ErrnoException) => cause);
  if (found instanceof Error) {
    if (found.code === "ENOENT") {
      const message = `there is no state directory ${stateDir} yet`;
      return [{ severity: "info", check, message }];
    }
    return [unreadable(check, stateDir, found.code)];
  }
  const findings: Finding[] = found.mode & 0o077 ? [tooOpen(check, stateDir, found, "0700")] : [];
  const names = await readdir(stateDir).catch((cause: NodeJS.ErrnoException) => cause);
  if (names instanceof Error) return [...findings, unreadable(check, stateDir, names.code)];
  for (const name of names.slice(0, MAX_STATE_FILES)) {
    const path = join(stateDir, name);
    const file = await lstat(path).catch(() => undefined);
    if (!file) continue;
    if (file.mode & 0o077 && !file.isSymbolicLink()) findings.push(tooOpen(check, path, file, "0600"));
    if (file.uid !== found.uid) {
      findings.push({
        severity: "error",
        check,
        message: `${path} belongs to another user than ${stateDir}: the node may not be able to use it`,
        remedy: `run commands as the user of the service, and once: chown --reference=${stateDir} ${path}`,
      });
    }
  }
  if (findings.length > 0) return findings;
  return [{ severity: "ok", check, message: `${stateDir} is closed to other users` }];
}

/** Of the files that the config's secrets are kept in. */
export async function secretFileFindings(config: Config): Promise<Finding[]> {
  const stored = secretsOf(config).flatMap((secret) =>
    secret.kind === "stored" && secret.store === "file" ? [secret.key] : [],
  );
  const keys = config.outlets.influxdb.flatMap(({ tlsKey }) => tlsKey ?? []);
  const paths = [...stored, ...keys];
  const findings = await Promise.all([...new Set(paths)].map((path) => secretFileFinding(path)));
  return findings;
}

function secretsOf({ enroll, outlets }: Config): SecretReference[] {
  const tokens = outlets.influxdb.flatMap(({ token, fixedToken }) => token ?? fixedToken ?? []);
  return [...(enroll.ticket ? [enroll.ticket] : []), ...tokens];
}

async function configFileFinding(path: string, holdsSecret: boolean): Promise<Finding[]> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return [];
  if (found.mode & 0o022) {
    return [
      {
        severity: "error",
        check: "files.config",
        message: `${path} (mode ${modeText(found)}) can be changed by other users`,
        remedy: `chmod go-w ${path}`,
      },
    ];
  }
  if (holdsSecret && found.mode & 0o044) {
    return [
      {
        severity: "error",
        check: "files.config",
        message: `${path} (mode ${modeText(found)}) can be read by other users, and the config holds a secret in clear`,
        remedy: `chmod 600 ${path}, and let the secret have a file of its own`,
      },
    ];
  }
  return [{ severity: "ok", check: "files.config", message: `${path} can be changed by its owner alone` }];
}

async function secretFileFinding(path: string): Promise<Finding> {
  const check = "files.secret";
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => cause);
  if (found instanceof Error) return unreadable(check, path, found.code);
  // As the store has it: a file of root's may be read by its group, and by all in a mount for secrets.
  const isMount = /^\/(?:var\/)?run\/(?:secrets|credentials)\//.test(path);
  const allowed = found.uid === 0 ? (isMount ? 0o044 : 0o040) : 0;
  if (found.mode & 0o077 & ~allowed) return tooOpen(check, path, found, "0600");
  return { severity: "ok", check, message: `${path} is closed to other users` };
}

function tooOpen(check: string, path: string, found: Stats, mode: string): Finding {
  return {
    severity: "error",
    check,
    message: `${path} (mode ${modeText(found)}) is open to other users, who may know what is in it`,
    remedy: `chmod ${mode} ${path}; if others use this machine, put a new one in its place`,
  };
}

function unreadable(check: string, path: string, code: string | undefined): Finding {
  return {
    severity: "warn",
    check,
    message: `${path} cannot be looked at (${code ?? "unknown error"})`,
    remedy: "run the command as the user of the service, or as root",
  };
}

function modeText({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
