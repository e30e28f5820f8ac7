/** For every test file: what it has put into temporary folders goes when it is done, after its own last hooks. */
import { afterAll } from "vitest";
import { removeTempDirs } from "./temporary.ts";

afterAll(removeTempDirs);
