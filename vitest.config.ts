import { defineConfig } from "vitest/config";

/** Real processes and real sockets are in play: a test file has the machine's two cores, not its own. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: "threads",
    maxWorkers: 2,
  },
});
