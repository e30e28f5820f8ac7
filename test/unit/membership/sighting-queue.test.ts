import { expect, it } from "vitest";
import { SightingQueue } from "../../../src/membership/sighting-queue.ts";

const seen = { identifier: "imember", remote: "192.0.2.1:1", software: "culvert/1", clockSkewMs: 0 };

it("says how long ago each was seen, whatever it was told of that", () => {
  const queue = new SightingQueue();
  queue.note({ ...seen, ...{ agoMs: 99 } }, 1_000);
  expect(queue.batch(4_500).sightings).toEqual([{ ...seen, agoMs: 3_500 }]);
});

it("keeps what was not told", () => {
  const queue = new SightingQueue();
  queue.note(seen, 0);
  queue.batch(0);
  expect(queue.batch(0).sightings).toHaveLength(1);
});

it("keeps what was seen while the one before was told", () => {
  const queue = new SightingQueue();
  queue.note(seen, 0);
  const { told } = queue.batch(0);
  queue.note({ ...seen, remote: "192.0.2.2:1" }, 1);
  told();
  expect(queue.batch(1).sightings).toMatchObject([{ remote: "192.0.2.2:1" }]);
});

it("tells the newest evidence", () => {
  const queue = new SightingQueue();
  queue.note({ ...seen, clone: "both-live" }, 0);
  queue.note({ ...seen, clone: "stale" }, 1);
  queue.note(seen, 2);
  expect(queue.batch(2).sightings).toMatchObject([{ clone: "stale" }]);
});
