/** What the clients of soak and scenarios hold their losses against. */
import { expect, it } from "vitest";
import { Ledger } from "../../harness/ledger.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

it("counts what was lost, altered, and how often each has arrived", () => {
  const ledger = new Ledger();
  const [one, two, three] = [1, 2, 3].map((count) => ledger.line(7, count));
  ledger.arrive(encode(`${one}\n# padding`));
  ledger.acknowledge(one!);
  ledger.acknowledge(two!);
  expect(ledger).toMatchObject({ acknowledged: 2, lost: 1, altered: 0, repeated: 0, excessive: 0 });
  ledger.arrive(encode(three!.replace("count=3i", "count=4i")));
  ledger.arrive(encode(`${three}\n${three}`));
  expect(ledger).toMatchObject({ altered: 1, repeated: 1, excessive: 0 });
  ledger.arrive(encode(three!));
  expect(ledger).toMatchObject({ lost: 1, altered: 1, repeated: 1, excessive: 1 });
});
