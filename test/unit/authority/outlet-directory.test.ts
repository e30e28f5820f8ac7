import { expect, it } from "vitest";
import { OutletDirectory } from "../../../src/authority/outlet-directory.ts";
import type { Identifier } from "../../../src/identity/identifier.ts";

const MEMBERS = Array.from({ length: 3_000 }, (_, i) => `member-${i}` as Identifier);

function directory(names: readonly string[]): OutletDirectory {
  const outlets = new OutletDirectory(() => ({ services: ["influxdb"], addresses: ["tcp://own:1"] }));
  for (const name of names) put(outlets, name);
  return outlets;
}

function put(outlets: OutletDirectory, name: string): void {
  const addresses = [`tcp://${name}:1`, `tcp://${name}:2`];
  outlets.put({ identifier: name as Identifier, services: ["influxdb"], addresses });
}

const orders = (outlets: OutletDirectory): string[][] =>
  MEMBERS.map((member) => outlets.addressesOf("influxdb", member));

it("members are spread over the outlets: each is the first of about as many", () => {
  const firsts = new Map<string, number>();
  for (const [first = ""] of orders(directory(["a", "b"]))) firsts.set(first, (firsts.get(first) ?? 0) + 1);
  expect([...firsts.keys()].toSorted()).toEqual(["tcp://a:1", "tcp://b:1", "tcp://own:1"]);
  for (const count of firsts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});

it("each member is told all of them, one outlet's in its own order", () => {
  for (const order of orders(directory(["a", "b"]))) {
    expect(order.toSorted()).toEqual(["tcp://a:1", "tcp://a:2", "tcp://b:1", "tcp://b:2", "tcp://own:1"]);
    for (const name of ["a", "b"])
      expect(order.indexOf(`tcp://${name}:2`) - order.indexOf(`tcp://${name}:1`)).toBe(1);
  }
});

it("the order is the same however often and in whatever order the outlets ask", () => {
  const outlets = directory(["a", "b", "c"]);
  const before = orders(outlets);
  for (const name of ["c", "a", "b", "a"]) put(outlets, name);
  expect(orders(outlets)).toEqual(before);
});

it("an outlet that is gone moves its own members alone, and one that comes back gets just those again", () => {
  const outlets = directory(["a", "b", "c"]);
  const before = orders(outlets);
  outlets.delete("b" as Identifier);
  const without = orders(outlets);
  for (const [i, order] of without.entries())
    expect(order).toEqual(before[i]!.filter((address) => !address.includes("//b:")));
  put(outlets, "b");
  expect(orders(outlets)).toEqual(before);
});
