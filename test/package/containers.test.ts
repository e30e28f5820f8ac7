/** The Dockerfile by hadolint, and the Compose files by the Compose Specification's own checker. No container runs here. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { describeHaving } from "../harness/describe-having.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deploy = join(root, "deploy");

/** What a script of ours has installed; empty where it has not. */
function installed(script: string): string {
  return execFileSync(join(root, "scripts", script), ["--print"], { encoding: "utf8" }).trim();
}

/** A `describe` that needs that. Without it, it is skipped and says so in its name; in CI that is an error. */
function describeWith(script: string, name: string, body: (path: string) => void): void {
  const path = installed(script);
  describeHaving(path !== "" ? [] : [script], name, () => body(path));
}

describeWith("hadolint", "the Dockerfile", (hadolint) => {
  it("has nothing that hadolint finds", () => {
    const found = execFileSync(join(dirname(hadolint), "hadolint"), [join(deploy, "docker/Dockerfile")], {
      encoding: "utf8",
    });
    expect(found).toBe("");
  });
});

interface Service {
  readonly image: string;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly privileged?: boolean;
  readonly volumes?: readonly { readonly type: string; readonly source: string; readonly target: string }[];
}

describeWith("compose-spec", "Compose", (composeSpec) => {
  const services = (file: string): Record<string, Service> => {
    const args = ["--no-interpolation", "--format", "json", join(deploy, "compose", file)];
    const text = execFileSync(composeSpec, args, { encoding: "utf8", cwd: join(deploy, "compose") });
    return (JSON.parse(text) as { services: Record<string, Service> }).services;
  };

  it.each([
    ["device.yaml", ["inlet", "telegraf"]],
    ["cloud.yaml", ["outlet"]],
    ["laptop.yaml", ["grafana", "influxdb", "inlet", "outlet", "relay", "telegraf"]],
  ])("%s is valid, and has what it says", (file, names) => {
    expect(Object.keys(services(file)).sort()).toEqual(names);
  });

  it.each(["device.yaml", "cloud.yaml", "laptop.yaml"])(
    "%s gives nodes nothing that they need not have",
    (file) => {
      for (const [name, service] of Object.entries(services(file))) {
        expect({ name, tag: /:[\w.${}:-]*\d/.test(service.image) }).toEqual({ name, tag: true });
        expect({ name, options: service.security_opt }).toEqual({
          name,
          options: ["no-new-privileges:true"],
        });
        expect(service.privileged ?? false).toBe(false);
        if (!service.image.includes("CULVERT")) continue;
        expect({ name, ...service }).toMatchObject({ name, read_only: true, cap_drop: ["ALL"] });
        const state = service.volumes?.filter(({ target }) => target === "/var/lib/culvert");
        expect({ name, state: state?.length }).toEqual({ name, state: 1 });
      }
    },
  );

  it.each(["device.yaml", "cloud.yaml", "laptop.yaml"])("%s mounts files that are there", (file) => {
    const mounted = Object.values(services(file))
      .flatMap(({ volumes = [] }) => volumes)
      .filter(({ type, source }) => type === "bind" && /\.(?:toml|conf|yaml)$/.test(source))
      .map(({ source }) => source);
    expect(mounted.length).toBeGreaterThan(0);
    expect(mounted.filter((source) => !existsSync(source))).toEqual([]);
  });
});

describe("configs that come with packages and Compose files", () => {
  const env = {
    CULVERT_ADVERTISE: "tcp://outlet.example.com:4433",
    INFLUXDB_URL: "https://influxdb.example.com:8086",
    INFLUXDB_ORGANIZATION: "edge",
    INFLUXDB_BUCKET: "metrics",
    AUTHORITY_KEY: "Eg6powYdNyW7sCyVwRC8mbKlUnmNPviw6opShG0UxwM",
  };
  it.each([
    ...["compose/device/culvert.toml", "compose/cloud/culvert.toml", "compose/laptop/inlet.toml"],
    ...["compose/laptop/outlet.toml", "compose/laptop/relay.toml"],
    ...["debian/examples/inlet.toml", "debian/examples/outlet.toml", "debian/examples/relay.toml"],
  ])("%s is taken", (file) => {
    const text = readFileSync(join(deploy, file), "utf8");
    expect(parseConfig([{ file, text }], env).agent.stateDir).toMatch(/^\/var\/lib\/culvert/);
  });
});
