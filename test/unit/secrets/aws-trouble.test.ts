import { describe, expect, it } from "vitest";
import { awsTrouble } from "../../../src/secrets/aws-trouble.ts";

const named = (name: string, rest: object = {}) => Object.assign(new Error("hunter2"), { name, ...rest });

describe("trouble with AWS", () => {
  it.each([
    [named("ResourceNotFoundException", { $metadata: { httpStatusCode: 400 } }), /no such secret/],
    [named("AccessDeniedException", { $metadata: { httpStatusCode: 400 } }), /secretsmanager:GetSecretValue/],
    [named("UnrecognizedClientException", { $metadata: { httpStatusCode: 400 } }), /credentials/],
    [named("CredentialsProviderError"), /no AWS credentials/],
    [
      named("InternalServiceError", { $metadata: { httpStatusCode: 500 } }),
      /answer is an error.*500, InternalServiceError/,
    ],
    [named("Error", { code: "ECONNREFUSED" }), /reached \(ECONNREFUSED\)/],
    [new Error("Region is missing"), /no AWS region/],
    [named("SyntaxError"), /SyntaxError/],
    [named("a name\nwith hunter2"), /without a name/],
    ["hunter2", /without a name/],
    [undefined, /without a name/],
  ])("L14 is said in our own words: %s", (thrown, words) => {
    expect(awsTrouble(thrown)).toMatch(words);
    expect(awsTrouble(thrown)).not.toContain("hunter2");
  });
});
