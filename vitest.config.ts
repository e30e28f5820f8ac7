import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What waits for minutes begins first, and what takes a second fills up the end. */
class ScenariosFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const waits = ({ moduleId }: TestSpecification) => /\/test\/(?:scenario|package)\//.test(moduleId);
    return [...sorted.filter(waits), ...sorted.filter((file) => !waits(file))];
  }
}

/** Most scenarios wait for something: six at a time keep two cores busy. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/harness/clean-up.ts"],
    // The waits in a test have deadlines of their own; six tests share two cores.
    testTimeout: 40_000,
    hookTimeout: 60_000,
    pool: "threads",
    maxWorkers: 6,
    sequence: { sequencer: ScenariosFirst },
  },
});
