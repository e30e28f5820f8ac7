/**
 * `${NAME}` and `${NAME:-default}` inside a text value. It works on values, after TOML has been parsed,
 * so nothing in the environment can add a key or a table.
 */
import { Problem } from "./finding.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Substituted {
  readonly text: string;
  /** At least one variable of the environment has gone in: the text may be secret. */
  readonly fromEnvironment: boolean;
}

/** `$${` stays as `${`; a `$` before anything else is a plain character, for passwords have them. */
export function substitute(written: string, env: Environment): Substituted | Problem {
  let fromEnvironment = false;
  let problem: Problem | undefined;
  const text = written.replace(
    /\$\$\{|\$\{([^}]*)(\}?)/g,
    (match, inner: string | undefined, close: string) => {
      if (match === "$${") return "${";
      const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner ?? "") ?? [];
      if (name === undefined || close === "") {
        problem ??= new Problem(
          `has a "\${" that is not \${NAME} or \${NAME:-default}; write "$\${" for the text itself`,
        );
        return "";
      }
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      // As in a shell: `:-` also replaces a variable that is set and empty.
      if (value === undefined || (value === "" && fallback !== undefined)) {
        if (fallback === undefined)
          problem ??= new Problem(`needs the environment variable ${name}, which is not set`);
        return fallback ?? "";
      }
      fromEnvironment = true;
      return value;
    },
  );
  return problem ?? { text, fromEnvironment };
}
