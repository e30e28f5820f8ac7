import { describe, expect, it } from "vitest";
import { BucketDirectory } from "../../../src/outlet/bucket-directory.ts";
import type { FoundBucket } from "../../../src/outlet/influxdb-api.ts";

const ORGANIZATION = "00000000000000aa";

/** A directory over buckets that the test sets, and the names that were asked for. */
class DirectoryBed {
  readonly buckets = new Map<string, string>();
  readonly asked: string[] = [];
  readonly changed: string[] = [];
  organization: string | undefined = ORGANIZATION;
  /** Of the bucket that is found by its id, whatever that is. */
  organizationById: string | undefined;
  nowMs = 0;
  readonly directory: BucketDirectory;

  constructor(fixed: readonly string[], maxOthers = 4_096) {
    this.directory = new BucketDirectory({
      api: {
        findOrganization: async () => this.organization,
        findBucket: async (name): Promise<FoundBucket | undefined> => {
          this.asked.push(name);
          const id = this.buckets.get(name);
          return id === undefined ? undefined : { id, organizationId: ORGANIZATION };
        },
        findBucketById: async (id): Promise<FoundBucket | undefined> =>
          this.organizationById === undefined ? undefined : { id, organizationId: this.organizationById },
      },
      organization: "edge",
      fixed,
      monotonicMs: () => this.nowMs,
      maxOthers,
    });
  }

  resolve(...names: string[]) {
    return this.directory.resolve(names.map((bucket) => ({ action: "write", bucket })));
  }

  refresh(): Promise<void> {
    return this.directory.refresh((name) => this.changed.push(name));
  }
}

describe("the bucket directory", () => {
  it("is complete once every name of the config was found", async () => {
    const bed = new DirectoryBed(["a", "b"]);
    bed.buckets.set("a", "1");
    await expect(bed.refresh()).rejects.toMatchObject({ code: "lease.denied" });
    expect(bed.directory.complete).toBe(false);
    bed.buckets.set("b", "2");
    await bed.refresh();
    expect(bed.directory.complete).toBe(true);
    expect(await bed.resolve("a", "b")).toEqual([
      { action: "write", bucket: "a", bucketId: "1", organizationId: ORGANIZATION },
      { action: "write", bucket: "b", bucketId: "2", organizationId: ORGANIZATION },
    ]);
  });

  it("is complete with no name of the config at all", async () => {
    const bed = new DirectoryBed([]);
    await bed.refresh();
    expect(bed.directory.complete).toBe(true);
  });

  it("is not complete while a name of the config is gone, and tells when it is another bucket then", async () => {
    const bed = new DirectoryBed(["a"]);
    bed.buckets.set("a", "1");
    await bed.refresh();
    bed.buckets.delete("a");
    await expect(bed.refresh()).rejects.toMatchObject({ code: "lease.denied" });
    expect(bed.directory.complete).toBe(false);
    bed.buckets.set("a", "9");
    await bed.refresh();
    expect(bed.changed).toEqual(["a"]);
  });

  it("L11 comes to no permission without a bucket", async () => {
    const bed = new DirectoryBed(["a"]);
    bed.buckets.set("a", "1");
    await bed.refresh();
    await expect(bed.resolve("a", "nowhere")).rejects.toMatchObject({ code: "lease.denied" });
    expect(bed.directory.remembered([{ action: "write", bucket: "nowhere" }])).toBeUndefined();
  });

  it("remembers so many other names, those that were wanted last", async () => {
    const bed = new DirectoryBed([], 2);
    for (const name of ["a", "b", "c"]) bed.buckets.set(name, name);
    await bed.resolve("a");
    await bed.resolve("b");
    await bed.resolve("a");
    await bed.resolve("c");
    expect(bed.asked).toEqual(["a", "b", "c"]);
    await bed.resolve("a");
    expect(bed.asked).toHaveLength(3);
    await bed.resolve("b");
    expect(bed.asked).toEqual(["a", "b", "c", "b"]);
  });

  it("asks for a missing name again after ten seconds, and not before", async () => {
    const bed = new DirectoryBed([]);
    for (const atMs of [0, 1, 9_999, 10_000, 10_001]) {
      bed.nowMs = atMs;
      await expect(bed.resolve("a")).rejects.toMatchObject({
        code: "lease.denied",
        retryAfterMs: expect.any(Number),
      });
    }
    expect(bed.asked).toHaveLength(2);
  });

  it("remembers so many missing names", async () => {
    const bed = new DirectoryBed([], 2);
    for (const name of ["a", "b", "c", "a"]) await bed.resolve(name).catch(() => undefined);
    expect(bed.asked).toEqual(["a", "b", "c", "a"]);
  });

  it("looks at other names again after five minutes, or when they are in doubt", async () => {
    const bed = new DirectoryBed([]);
    bed.buckets.set("a", "1").set("b", "2");
    await bed.resolve("a", "b");
    await bed.refresh();
    expect(bed.asked).toHaveLength(2);
    bed.directory.doubt([{ action: "write", bucket: "a" }]);
    await bed.refresh();
    expect(bed.asked).toEqual(["a", "b", "a"]);
    bed.nowMs = 300_000;
    await bed.refresh();
    expect(bed.asked.sort()).toEqual(["a", "a", "a", "b", "b"]);
    expect(bed.changed).toEqual([]);
  });

  it("looks buckets up by the organization's name where the organization itself cannot be seen", async () => {
    const bed = new DirectoryBed(["a"]);
    bed.organization = undefined;
    bed.buckets.set("a", "1");
    await bed.refresh();
    expect((await bed.resolve("a"))[0]?.organizationId).toBe(ORGANIZATION);
  });

  describe("of an id", () => {
    const ID = "00000000000000bb";

    it("finds the bucket where the config names it so", async () => {
      const bed = new DirectoryBed([ID]);
      bed.organizationById = ORGANIZATION;
      await bed.refresh();
      expect(await bed.resolve(ID)).toMatchObject([{ bucketId: ID, organizationId: ORGANIZATION }]);
    });

    it("finds the bucket of that name first", async () => {
      const bed = new DirectoryBed([ID]);
      bed.organizationById = ORGANIZATION;
      bed.buckets.set(ID, "00000000000000cc");
      await bed.refresh();
      expect(await bed.resolve(ID)).toMatchObject([{ bucketId: "00000000000000cc" }]);
    });

    it("does not find one of another organization", async () => {
      const bed = new DirectoryBed([ID]);
      bed.organizationById = "00000000000000ff";
      await expect(bed.refresh()).rejects.toMatchObject({ code: "lease.denied" });
    });

    it("finds none where a member's attribute makes it: that would lead past what bounds names", async () => {
      const bed = new DirectoryBed([]);
      bed.organizationById = ORGANIZATION;
      await bed.refresh();
      await expect(bed.resolve(ID)).rejects.toMatchObject({ code: "lease.denied" });
    });
  });
});
