import { defineConfig } from "vitest/config";

/** Most scenarios wait for something: three at a time keep two cores busy. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: "threads",
    maxWorkers: 3,
  },
});
