import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { binary, type CulvertNode, culvert } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { admin, makeAuthority, makeDevice } from "../harness/members.ts";
import { checkLeaks, Spawned } from "../harness/spawned.ts";

checkLeaks();

describe("a state directory", () => {
  const nodes: Record<string, () => Promise<CulvertNode>> = {
    "an inlet": async () => (await makeDevice()).node,
    "an authority": async () => (await makeAuthority()).node,
  };
  for (const [role, make] of Object.entries(nodes)) {
    it(`is one process's: a second ${role.slice(3)} is refused, and the first goes on`, async () => {
      const node = await make();
      await node.start();
      const second = await culvert(["run", "--config", node.configFile]);
      expect(second.exit.code).toBe(1);
      expect(second.stdout).toBe("");
      expect(second.stderr.trim().split("\n")).toHaveLength(1);
      expect(second.stderr).toMatch(/^culvert: .*another culvert runs (with|in) this state directory/);
      expect(second.stderr).toContain(node.stateDir);
      expect((await admin(node, "status")).identifier).toBe(node.identifier);
      await node.stop();
    });

    it(`is free again once ${role} was killed, at once and whatever it left`, async () => {
      const node = await make();
      await node.start();
      await node.kill();
      expect(existsSync(join(node.stateDir, "admin.sock"))).toBe(true);
      await node.start();
      expect((await admin(node, "status")).identifier).toBe(node.identifier);
      await node.stop();
      expect(existsSync(join(node.stateDir, "admin.sock"))).toBe(false);
    });
  }

  for (const [role, make] of Object.entries(nodes)) {
    it(`is given to one of several that start as ${role} at the same instant`, async () => {
      const node = await make();
      // What a killed one has left is in the way of all of them.
      await node.start();
      await node.kill();
      await anyPort(node);
      const started = Array.from(
        { length: 4 },
        () => new Spawned({ command: binary("culvert"), args: ["run", "--config", node.configFile] }),
      );
      const running = () => started.filter(({ exit }) => exit === undefined);
      await eventually("the end of all but one", () => running().length === 1);
      const [winner] = running();
      await winner!.waitForOutput(/node\.started/);
      expect((await winner!.stop()).code).toBe(0);
      for (const loser of started.filter((one) => one !== winner)) {
        expect(loser.exit?.code).toBe(1);
        expect(loser.stderr).toMatch(/another culvert runs (with|in) this state directory/);
      }
    });
  }
});

/** So that nothing but the state directory keeps them apart. */
async function anyPort(node: CulvertNode): Promise<void> {
  const text = await readFile(node.configFile, "utf8");
  const loose = text.replace(/status_listen = .*/, 'status_listen = ""');
  await writeFile(
    node.configFile,
    loose.replace(/^( *listen = \[?"\D*127\.0\.0\.1:)\d+/gm, (_, before) => `${before}0`),
  );
}
