/** Tokens that no outlet may touch: those of others, some of which pretend to be a lease that ended long ago. */
import type { Authorization, InfluxDbUnderTest } from "./influxdb-under-test.ts";
import { leasedTokens } from "./leased-tokens.ts";

interface NamedToken {
  readonly name: string;
  readonly before: Authorization;
}

export class ForeignTokens {
  readonly #influx: InfluxDbUnderTest;
  readonly #tokens: readonly NamedToken[];

  private constructor(influx: InfluxDbUnderTest, tokens: readonly NamedToken[]) {
    this.#influx = influx;
    this.#tokens = tokens;
  }

  /** Those that there are and are no lease of this outlet, and new ones that look like a lease of `member`. */
  static async make(influx: InfluxDbUnderTest, outlet: string, member: string): Promise<ForeignTokens> {
    const ours = new Set((await leasedTokens(influx, outlet)).map(({ id }) => id));
    const others = (await influx.listAuthorizations()).filter(({ id }) => !ours.has(id));
    const made = new Map(others.map(({ id }) => [id, "another's"]));
    for (const [name, description] of Object.entries(forgeries(outlet, member))) {
      made.set((await influx.createAuthorization({ description })).id, name);
    }
    // As the list shows them, which may not be as their creation did.
    const listed = await influx.listAuthorizations();
    return new ForeignTokens(
      influx,
      listed.filter(({ id }) => made.has(id)).map((before) => ({ name: made.get(before.id)!, before })),
    );
  }

  has(id: string): boolean {
    return this.#tokens.some(({ before }) => before.id === id);
  }

  /** Names of those that are gone, or are not what they were. */
  async harmed(): Promise<string[]> {
    const now = new Map((await this.#influx.listAuthorizations()).map((token) => [token.id, token]));
    return this.#tokens
      .filter(({ before }) => JSON.stringify(now.get(before.id)) !== JSON.stringify(before))
      .map(({ name }) => name);
  }
}

function forgeries(outlet: string, member: string): Readonly<Record<string, string>> {
  const past = "2020-01-01T00:00:00.000Z";
  const body = `culvert lease 1: member=${member} profile=p expires=${past} made=${past} lease=0011 realm=${outlet}/influxdb`;
  const mac = "0".repeat(64);
  return {
    plain: "made by hand",
    empty: "",
    "forged mac": `${body} mac=${mac}`,
    "short mac": `${body} mac=00`,
    "no mac": body,
    "another outlet's": `${body.replace(outlet, "someone-else")} mac=${mac}`,
    "a later version": `${body.replace("lease 1", "lease 2")} mac=${mac}`,
    nul: `${body}\u0000 mac=${mac}`,
    "a megabyte": `${body} ${"x".repeat(1024 * 1024)} mac=${mac}`,
  };
}
