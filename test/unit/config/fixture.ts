import { Fault } from "../../../src/base/fault.ts";
import { type Config, parseConfig } from "../../../src/config/config.ts";
import type { Environment } from "../../../src/config/substitution.ts";

/** Of keys that nobody has. */
export const outletIdentifier = "igjgr2444ls4psrdzianb5swy3zy44l7x6ld2";
export const inletIdentifier = "iw3xueuuqcia264tikson3gdcg2x5oihacorc";

export const inletText = `[channel]
connect = ["tcp://outlet.example.com:4433"]

[[inlets.influxdb]]
authorized = ["${outletIdentifier}"]
`;

export const outletText = `[channel]
listen = ["tcp://0.0.0.0:4433"]

[[outlets.influxdb]]
url = "https://influxdb.example.com:8086"
organization = "example"
token = "@{env:INFLUXDB_TOKEN}"
authorized = ["${inletIdentifier}"]

[[outlets.influxdb.permissions]]
action = "write"
bucket = "metrics"
`;

/** An authority with a node of its own. */
export const authorityText = `[channel]
listen = ["tcp://0.0.0.0:4433"]
advertise = ["tcp://authority.example.com:4433"]

[authority]
`;

export function parse(text: string, env: Environment = {}): Config {
  return parseConfig([{ file: "culvert.toml", text }], env);
}

/** The findings of a config that must not pass, a line each. */
export function findingsOf(work: () => unknown): string[] {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === "config.invalid") return thrown.message.split("\n");
    throw thrown;
  }
  throw new Error("the config was accepted");
}
