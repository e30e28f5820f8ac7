import { describe, expect, it } from "vitest";
import { authorityRoutes } from "../../../src/cli/admin-authority.ts";
import { openAuthority } from "../../../src/cli/authority-part.ts";
import type { Invocation } from "../../../src/cli/command.ts";
import { demo } from "../../../src/cli/commands/demo.ts";
import { startInletRole } from "../../../src/cli/inlet-role.ts";
import type { Roles } from "../../../src/cli/node.ts";
import { startOutletRole } from "../../../src/cli/outlet-role.ts";

describe("a demo in which something else happens than is told", () => {
  it("stops at the step, says what, shows the nodes' logs, and exits with 1", async () => {
    const said = await run(roles);
    expect(said.code).toBe(1);
    expect(said.out).toMatch(/^ {5}FAILED +it may do what the outlet's config says/m);
    expect(said.out).not.toMatch(/^4\/8/m);
    expect(said.err).toMatch(/lease\.created/);
  });

  it("says so with --json too", async () => {
    const said = await run(roles, { json: true });
    expect(said.code).toBe(1);
    const told = JSON.parse(said.out);
    expect(told).toMatchObject({ ok: false, trouble: expect.any(String) });
    expect(told.steps.at(-1).checks.at(-1)).toMatchObject({ ok: false });
  });
});

/** An outlet that leases less than its config says. */
const withoutReading: NonNullable<Roles["outlet"]> = (context) => {
  const influxdb = context.config.outlets.influxdb.map((outlet) => ({
    ...outlet,
    permissions: outlet.permissions.filter(({ action }) => action === "write"),
  }));
  return startOutletRole({
    ...context,
    config: { ...context.config, outlets: { ...context.config.outlets, influxdb } },
  });
};

const roles: Roles = {
  inlet: startInletRole,
  outlet: withoutReading,
  authority: { open: openAuthority, routes: authorityRoutes },
};

async function run(roles: Roles, options: { json?: boolean } = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const invocation: Invocation = {
    options: { fast: true },
    positionals: [],
    env: { NO_COLOR: "1" },
    roles,
    table: { program: "culvert", commands: [] },
    json: options.json ?? false,
    terminal: { out: (text) => out.push(text), err: (text) => err.push(text), isTty: false },
  };
  const code = await demo.run(invocation);
  return { code, out: out.join("\n"), err: err.join("\n") };
}
