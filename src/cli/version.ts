import manifest from "../../package.json" with { type: "json" };

export const version: string = manifest.version;

const { bun, deno, node } = process.versions;

/** What runs us, with its version: Bun and Deno say which Node they are like, too. */
export const runtime: string = bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`;
