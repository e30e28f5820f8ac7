import { describe, expect, it } from "vitest";
import { Fault } from "../../../src/base/fault.ts";
import { nobleProvider } from "../../../src/crypto/noble-provider.ts";
import { nodeProvider } from "../../../src/crypto/node-provider.ts";
import { Identity } from "../../../src/identity/identity.ts";
import { isJwtId, type JwsKind, MAX_JWS_CHARACTERS, signJws, verifyJws } from "../../../src/identity/jws.ts";
import { base64url, forgedJws } from "../../harness/forged-jws.ts";

const KIND: JwsKind = {
  type: "test+jwt",
  name: "test",
  claims: ["a"],
  malformed: "credential.malformed",
  untrusted: "credential.untrusted",
};
const HEADER = '{"alg":"EdDSA","typ":"test+jwt"}';
const identity = new Identity(new Uint8Array(32).fill(1), nodeProvider);
const stranger = new Identity(new Uint8Array(32).fill(2), nodeProvider);

function signed(a: unknown, provider = nodeProvider): string {
  return signJws({ provider, kind: KIND, identity, claims: { a } });
}

function verified(text: string, provider = nodeProvider): unknown {
  return verifyJws({ provider, kind: KIND, text, publicKey: identity.publicKey });
}

function codeOf(text: string): string {
  try {
    verified(text);
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return "trusted";
}

describe("a JWS", () => {
  it.each([nodeProvider, nobleProvider])("gives its claims back ($name)", (provider) => {
    for (const a of ["text", "ü €", 1, { b: [null, true] }])
      expect(verified(signed(a), provider)).toEqual({ a });
  });

  it("is the same text whatever the provider, and has the form of RFC 7515", () => {
    expect(signed("text", nobleProvider)).toBe(signed("text"));
    expect(signed("text")).toBe(forgedJws(identity, HEADER, '{"a":"text"}'));
  });

  it("T5 is refused for another key", () => {
    expect(codeOf(forgedJws(stranger, HEADER, '{"a":1}'))).toBe("credential.untrusted");
  });

  it.each([
    ["no algorithm", '{"alg":"none","typ":"test+jwt"}'],
    ["HS256", '{"alg":"HS256","typ":"test+jwt"}'],
    ["ES256", '{"alg":"ES256","typ":"test+jwt"}'],
    ["RFC 9864's name", '{"alg":"Ed25519","typ":"test+jwt"}'],
    ["another case", '{"alg":"eddsa","typ":"test+jwt"}'],
    ["an algorithm given twice", '{"alg":"none","alg":"EdDSA","typ":"test+jwt"}'],
    ["a list of algorithms", '{"alg":["EdDSA"],"typ":"test+jwt"}'],
    ["another type", '{"alg":"EdDSA","typ":"other+jwt"}'],
    ["the type in another case", '{"alg":"EdDSA","typ":"TEST+JWT"}'],
    ["no type", '{"alg":"EdDSA"}'],
    ["a key of its own", '{"alg":"EdDSA","typ":"test+jwt","jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}}'],
    ["a key's name", '{"alg":"EdDSA","typ":"test+jwt","kid":"../../dev/null"}'],
    ["a critical extension", '{"alg":"EdDSA","typ":"test+jwt","crit":["exp"],"exp":1}'],
    ["an unencoded payload", '{"alg":"EdDSA","typ":"test+jwt","b64":false,"crit":["b64"]}'],
    ["a prototype", '{"alg":"EdDSA","typ":"test+jwt","__proto__":{}}'],
    ["white space", '{"alg": "EdDSA","typ":"test+jwt"}'],
    ["another order", '{"typ":"test+jwt","alg":"EdDSA"}'],
    ["nothing", ""],
    ["no object", "null"],
  ])("T5 is refused, well signed, with a header of %s", (_, header) => {
    expect(codeOf(forgedJws(identity, header, '{"a":1}'))).toBe("credential.malformed");
  });

  it("T5 is refused without a signature", () => {
    const [header, payload] = signed(1).split(".");
    expect(codeOf(`${header}.${payload}.`)).toBe("credential.malformed");
    expect(codeOf(`${base64url('{"alg":"none","typ":"test+jwt"}')}.${payload}.`)).toBe(
      "credential.malformed",
    );
  });

  it.each([
    ["a claim given twice", '{"a":1,"a":2}'],
    ["a claim given twice alike", '{"a":1,"a":1}'],
    ["a claim given twice, once in escapes", '{"a":1,"\\u0061":2}'],
    ["a name given twice further down", '{"a":{"b":{"c":1,"c":2}}}'],
    ["a name given twice in a list", '{"a":[{"c":1,"c":2}]}'],
    ["an unknown claim", '{"a":1,"b":2}'],
    ["T8 a prototype", '{"a":1,"__proto__":{"b":1}}'],
    ["T8 a prototype instead of a claim", '{"__proto__":{"a":1}}'],
    ["no claim", "{}"],
    ["a list", "[1]"],
    ["null", "null"],
    ["a text", '"a"'],
    ["a number", "1"],
    ["white space", '{ "a":1}'],
    ["a line end", '{"a":1}\n'],
    ["needless escapes", '{"a":"\\u0041"}'],
    ["a number in another spelling", '{"a":1e3}'],
    ["a number that no float can hold", '{"a":9007199254740993}'],
    ["a byte order mark", '\ufeff{"a":1}'],
    ["nothing", ""],
    ["no JSON", "{a:1}"],
    ["half of it", '{"a":'],
  ])("T5 is refused, well signed, with a payload of %s", (_, payload) => {
    expect(codeOf(forgedJws(identity, HEADER, payload))).toBe("credential.malformed");
  });

  it.each([
    ["an overlong letter", [0xc1, 0xa1]],
    ["a lone half of a pair", [0xed, 0xa0, 0x80]],
    ["a byte of no meaning", [0xff]],
    ["a cut-off letter", [0xc3]],
  ])("is refused, well signed, where a text is no UTF-8: %s", (_, bytes) => {
    const payload = Uint8Array.of(...Buffer.from('{"a":"'), ...bytes, ...Buffer.from('"}'));
    expect(codeOf(forgedJws(identity, HEADER, payload))).toBe("credential.malformed");
  });

  it("T8 is refused, well signed, with a payload nested as deeply as fits", () => {
    for (const depth of [1_000, 1_450]) {
      const payload = `{"a":${"[".repeat(depth)}${"]".repeat(depth - 1)}}`;
      expect(codeOf(forgedJws(identity, HEADER, payload))).toBe("credential.malformed");
    }
  });

  it("T8 keeps a prototype further down as the data that it is", () => {
    const claims = verified(forgedJws(identity, HEADER, '{"a":{"__proto__":{"admin":"true"}}}')) as {
      a: { admin?: string };
    };
    expect(Object.hasOwn(claims.a, "__proto__")).toBe(true);
    expect(claims.a.admin).toBeUndefined();
    expect(({} as { admin?: string }).admin).toBeUndefined();
  });

  it("has its signature checked before its payload is looked at", () => {
    expect(codeOf(forgedJws(stranger, HEADER, "no JSON"))).toBe("credential.untrusted");
  });

  it("T5 is refused with any character replaced, left out or doubled", () => {
    const text = signed("text");
    for (let at = 0; at < text.length; at++) {
      const [before, own, after] = [text.slice(0, at), text[at]!, text.slice(at + 1)];
      for (const other of ["", own + own, ...["A", "B", "g", "w", "_", "-", ".", "=", " ", "+", "\0", "é"]]) {
        if (other !== own)
          expect(codeOf(before + other + after)).toMatch(/^credential\.(malformed|untrusted)$/);
      }
    }
  });

  it("is refused in any other spelling of the same bytes", () => {
    const [header, payload, signature] = signed("text").split(".") as [string, string, string];
    const spellings = (part: string) => [
      `${part}=`,
      `${part}==`,
      `${part}\n`,
      ` ${part}`,
      ...withLooseBits(part),
    ];
    for (const other of [
      ...spellings(header).map((part) => `${part}.${payload}.${signature}`),
      ...spellings(signature).map((part) => `${header}.${payload}.${part}`),
    ]) {
      expect(codeOf(other)).toBe("credential.malformed");
    }
    // The payload's characters are what is signed, so its other spellings are signed here too.
    for (const part of spellings(payload)) {
      const bytes = identity.sign(new TextEncoder().encode(`${header}.${part}`), nodeProvider);
      expect(codeOf(`${header}.${part}.${base64url(bytes)}`)).toBe("credential.malformed");
    }
  });

  it("is refused with a part more or less", () => {
    const text = signed(1);
    const lacking = text.slice(0, text.lastIndexOf("."));
    for (const other of [
      `${text}.`,
      `.${text}`,
      `${text}.AA`,
      lacking,
      "",
      ".",
      "..",
      "...",
      text.replace(".", ".."),
    ])
      expect(codeOf(other)).toBe("credential.malformed");
  });

  it("is refused over 4 KiB, well signed, before any of it is decoded", () => {
    const room = (length: number) => {
      const a = "x".repeat(length);
      return forgedJws(identity, HEADER, JSON.stringify({ a }));
    };
    let longest = 0;
    while (room(longest + 1).length <= MAX_JWS_CHARACTERS) longest++;
    expect(codeOf(room(longest))).toBe("trusted");
    expect(codeOf(room(longest + 1))).toBe("credential.malformed");
    const never = () => expect.unreachable();
    const provider = { ...nodeProvider, verify: never };
    expect(() => verified(room(1_000_000), provider)).toThrow(
      expect.objectContaining({ code: "credential.malformed" }),
    );
  });

  it("cannot be made over 4 KiB", () => {
    expect(() => signed("x".repeat(3_000))).toThrow(expect.objectContaining({ code: "internal.bug" }));
  });
});

it.each([
  ["", false],
  ["a", true],
  ["!~", true],
  ["x".repeat(64), true],
  ["x".repeat(65), false],
  ["a b", false],
  ["a\n", false],
  ["é", false],
  [1, false],
  [null, false],
])("a JWT id may be printable and 64 long: %j is %s", (value, outcome) => {
  expect(isJwtId(value)).toBe(outcome);
});

/** The same bytes with each value of the bits that the last character has too many. */
function withLooseBits(part: string): string[] {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const bytes = Buffer.from(part, "base64url");
  return [...alphabet]
    .map((last) => part.slice(0, -1) + last)
    .filter((other) => other !== part && Buffer.from(other, "base64url").equals(bytes));
}
