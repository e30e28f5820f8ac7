/** Takes out of a text in TOML what may be a secret: for a patch, whose lines go to a terminal. */

const MASK = "[secret]";

/** Line by line the same text. References to the environment or to a store are no secrets, and stay. */
export function withoutSecrets(text: string): string {
  const withoutLong = text.replace(/("""|''')[\s\S]*?\1/g, (long, quote: string) => {
    const lines = long.split("\n").length;
    return lines === 1 ? `${quote}${MASK}${quote}` : `${quote}${`${MASK}\n`.repeat(lines - 1)}${quote}`;
  });
  return withoutLong
    .split("\n")
    .map((line) =>
      SECRET_KEY.test(line) ? masked(line, /("(?:[^"\\]|\\.)*"|'[^']*')/g) : masked(line, OPAQUE),
    )
    .map((line) => line.replace(USER_INFO, `//${MASK}@`))
    .join("\n");
}

/** In a comment, too, and as a part of a longer name: `basic_password`, `# api_token`. */
const SECRET_KEY =
  /(?:token|password|passphrase|passwd|secret|credential|auth|api_?key|access_?key|private_?key|cookie|community|dsn)[\w-]*["']?\s*=/i;
/** Long, and of the letters that tokens have; of a word or a path there would be other signs or fewer of these. */
const OPAQUE = /("[A-Za-z0-9+/_=-]{24,}"|'[A-Za-z0-9+/_=-]{24,}')/g;
const USER_INFO = /\/\/[^/@\s"']+@/g;
const REFERENCE = /^.(?:\$\{?\w+(?::?-)?\}?|@\{[^{}]*\}|).$/;

function masked(line: string, pattern: RegExp): string {
  return line.replace(pattern, (value: string) =>
    REFERENCE.test(value) ? value : `${value[0]}${MASK}${value[0]}`,
  );
}
