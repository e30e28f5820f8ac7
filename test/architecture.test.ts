/** Which room may know which, and what may be in a room at all. The table is the architecture. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

interface Room {
  /** Rooms that it may import from. */
  readonly rooms: readonly string[];
  /** Packages and runtime modules, for the whole room or for one file of it. */
  readonly modules?: Readonly<Record<string, readonly string[]>>;
  /** Bytes and time in, effects out: no socket, file, timer or runtime global. */
  readonly core?: true;
}

const rooms: Readonly<Record<string, Room>> = {
  base: { core: true, rooms: [] },
  crypto: {
    core: true,
    rooms: ["base"],
    modules: {
      "*": ["@noble/ciphers", "@noble/curves", "@noble/hashes"],
      "native-provider.ts": ["node:crypto"],
    },
  },
  identity: { core: true, rooms: ["base", "crypto"], modules: { "*": ["@noble/hashes"] } },
  lease: { core: true, rooms: ["base", "crypto"] },
  policy: {
    core: true,
    rooms: ["base", "identity", "lease"],
    modules: { "*": ["@marcbachmann/cel-js"] },
  },
  channel: { core: true, rooms: ["base", "crypto", "identity", "lease", "policy"] },
  config: {
    core: true,
    rooms: ["base", "crypto", "identity", "policy"],
    modules: { "*": ["toml"], "secret-file.ts": ["node:fs/promises"] },
  },
  import: {
    core: true,
    rooms: ["base", "config", "identity"],
    modules: { "node-file.ts": ["yaml"], "telegraf-import.ts": ["diff"] },
  },
  transport: {
    rooms: ["base", "identity", "channel"],
    modules: {
      "https-proxy.ts": ["node:net"],
      "tls-listen.ts": ["node:net", "node:tls"],
      "websocket-frame.ts": ["node:crypto"],
      "websocket-upgrade.ts": ["node:crypto"],
      "wire-node.ts": ["node:net"],
      "wss-dial.ts": ["node:net", "node:tls"],
    },
  },
  proxy: {
    rooms: ["base", "lease", "policy", "channel"],
    modules: {
      "*": ["hono"],
      "listener-bun.ts": ["node:fs"],
      "listener-node.ts": ["node:fs", "node:http", "node:net", "@hono/node-server"],
      "socket-file.ts": ["node:fs", "node:net"],
    },
  },
  outlet: {
    rooms: ["base", "crypto", "identity", "lease", "policy", "channel"],
    modules: {
      "influxdb-api.ts": ["zod"],
      "influxdb-refusal.ts": ["zod"],
      "listing-token.ts": ["zod"],
      "upstream.ts": ["undici"],
      "upstream-connector.ts": ["undici"],
      "upstream-fault.ts": ["undici"],
    },
  },
  portal: {
    rooms: ["base", "channel", "policy", "identity", "transport"],
    modules: { "outlet-tls.ts": ["node:tls"] },
  },
  membership: { rooms: ["base", "crypto", "identity", "policy", "channel", "transport"] },
  authority: {
    rooms: ["base", "crypto", "identity", "lease", "channel"],
    modules: {
      "*": ["node:fs"],
      "sqlite-file.ts": ["node:fs", "node:path", "node:sqlite"],
      "authority-store.ts": ["node:sqlite"],
    },
  },
  relay: { rooms: ["base", "crypto", "identity", "channel", "transport"] },
  secrets: {
    rooms: ["base", "config"],
    modules: {
      "aws-store.ts": ["@aws-sdk/client-secrets-manager", "node:http", "node:https"],
      "command-store.ts": ["node:child_process"],
    },
  },
  "stand-in": { rooms: ["base"], modules: { "*": ["hono"] } },
  cli: {
    rooms: [
      ...["base", "crypto", "identity", "lease", "policy", "channel"],
      ...[
        "config",
        "import",
        "transport",
        "proxy",
        "outlet",
        "portal",
        "membership",
        "authority",
        "relay",
        "secrets",
        "stand-in",
      ],
    ],
    modules: {
      "*": ["node:fs", "node:fs/promises", "node:http", "node:net", "node:os", "node:path", "node:util"],
      "metrics.ts": ["prom-client"],
      "notify-socket.ts": ["bun:ffi"],
      "admin-server.ts": ["hono"],
      "admin-authority.ts": ["hono", "zod"],
      "admin-leases.ts": ["hono"],
      "child-command.ts": ["node:child_process"],
      "certificate-file.ts": ["node:crypto"],
      "demo/demo-influxdb.ts": ["node:crypto", "@hono/node-server"],
    },
  },
};

/** What a core room would reach the world with; the one file that may, where there is one. */
const EFFECTS: readonly (readonly [RegExp, string?])[] = [
  [/\bBun\s*[.[]/],
  [/\bDeno\s*[.[]/],
  [/\bprocess\s*[.[]/],
  [/\bglobalThis\b/],
  [/(?<![.\w])fetch\s*\(/],
  [/\bset(?:Timeout|Interval|Immediate)\b/],
  [/\bqueueMicrotask\b/],
  [/\bconsole\b/],
  [/\bMath\.random\b/],
  [/\b(?:performance|Date)\.now\b/, "base/clock.ts"],
  [/\bcrypto\.(?:getRandomValues|randomUUID|subtle)\b/, "crypto/noble-provider.ts"],
];

const FORBIDDEN_NAMES =
  /^(?:utils?|helpers?|types?|common|misc|shared|manager|index)$|-(?:utils?|helpers?|manager)$/;
const MAX_LINES = 300;

interface SourceFile {
  /** Below src. */
  readonly path: string;
  readonly room: string;
  readonly lines: number;
  readonly code: string;
  readonly imports: readonly { readonly specifier: string; readonly typeOnly: boolean }[];
}

const src = fileURLToPath(new URL("../src", import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => readSource(path));

describe("the import table", () => {
  it("knows every room of src, and no other", () => {
    expect([...new Set(files.map(({ room }) => room))].sort()).toEqual(Object.keys(rooms).sort());
  });

  it("is kept by every file", () => {
    expect(files.flatMap(strayImports)).toEqual([]);
  });

  it("takes undici by its files: inside Bun the bare name is an empty shim that verifies no TLS", () => {
    const shimmed = files.filter(({ imports }) =>
      imports.some(({ specifier, typeOnly }) => specifier === "undici" && !typeOnly),
    );
    expect(shimmed.map(({ path }) => path)).toEqual([]);
  });

  it("has no circle of rooms", () => {
    const below = (room: string): string[] => [...rooms[room]!.rooms];
    expect(Object.keys(rooms).flatMap((room) => circle(room, below))).toEqual([]);
  });

  it("has no circle of files", () => {
    const known = new Map(files.map((file) => [file.path, file]));
    const below = (path: string): string[] =>
      known
        .get(path)!
        .imports.filter(({ specifier, typeOnly }) => !typeOnly && specifier.endsWith(".ts"))
        .map(({ specifier }) => resolve(path, specifier));
    expect(files.flatMap(({ path }) => circle(path, below))).toEqual([]);
  });
});

describe("core rooms", () => {
  it("reach for nothing of the world outside", () => {
    const found = files
      .filter(({ room }) => rooms[room]?.core)
      .flatMap(({ path, code }) =>
        EFFECTS.filter(([pattern, exception]) => path !== exception && pattern.test(code)).map(
          ([pattern]) => `${path}: ${pattern}`,
        ),
      );
    expect(found).toEqual([]);
  });
});

describe("every file", () => {
  it(`has ${MAX_LINES} lines at most`, () => {
    expect(
      files.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path}: ${lines}`),
    ).toEqual([]);
  });

  it("is named after what it holds, in kebab-case", () => {
    const names = files.map(({ path }) => path);
    const bad = names.filter((path) => {
      const name = basename(path).replace(/(?:\.d)?\.ts$/, "");
      return FORBIDDEN_NAMES.test(name) || !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name);
    });
    expect(bad).toEqual([]);
  });

  it("defines something: nothing is there to pass on others' exports", () => {
    expect(
      files
        .filter(({ code }) => /^export\s+(?:type\s+)?(?:\*|\{[^}]*\}\s*from)/m.test(code))
        .map(({ path }) => path),
    ).toEqual([]);
  });
});

function readSource(path: string): SourceFile {
  const text = readFileSync(join(src, path), "utf8");
  const code = withoutComments(text);
  const imports = [
    ...code.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;"']*?\sfrom\s+)?"([^"]+)"/gm),
    ...code.matchAll(/\b(import)\(\s*"([^"]+)"/g),
  ].map(([, kind, specifier]) => ({ specifier: specifier!, typeOnly: kind?.trim() === "type" }));
  return { path, room: path.split("/", 1)[0]!, lines: text.split("\n").length - 1, code, imports };
}

/** Block comments, and line comments that follow white space: `//` inside a text has none before it. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

function strayImports({ path, room, imports }: SourceFile): string[] {
  return imports
    .map(({ specifier }) => specifier)
    .filter(
      (specifier) =>
        !(specifier.startsWith(".")
          ? mayImportFile(path, specifier)
          : mayImportModule(path, room, specifier)),
    )
    .map((specifier) => `${path} imports ${specifier}`);
}

function mayImportFile(path: string, specifier: string): boolean {
  // The version is told in one place.
  if (path === "cli/version.ts" && specifier === "../../package.json") return true;
  const target = resolve(path, specifier);
  const [from, to] = [path.split("/", 1)[0]!, target.split("/", 1)[0]!];
  return (
    files.some((file) => file.path === target) && (from === to || (rooms[from]?.rooms.includes(to) ?? false))
  );
}

function mayImportModule(path: string, room: string, specifier: string): boolean {
  const { modules = {} } = rooms[room] ?? {};
  const allowed = [...(modules["*"] ?? []), ...(modules[relative(room, path)] ?? [])];
  // A package gives its parts too: hono/cors, @noble/hashes/sha2.js. A file of one is that file alone.
  return allowed.some(
    (name) => specifier === name || (!name.includes(":") && specifier.startsWith(`${name}/`)),
  );
}

function resolve(path: string, specifier: string): string {
  return normalize(join(dirname(path), specifier));
}

/** @returns the way from `start` back to itself, if there is one. */
function circle(start: string, below: (node: string) => string[]): string[] {
  const seen = new Set<string>();
  const walk = (node: string, way: readonly string[]): string[] => {
    for (const next of below(node)) {
      if (next === start) return [[...way, next].join(" -> ")];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = walk(next, [...way, next]);
      if (found.length > 0) return found;
    }
    return [];
  };
  return walk(start, [start]);
}
