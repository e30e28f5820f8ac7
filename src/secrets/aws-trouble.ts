/** What went wrong with AWS, in our own words: its client's errors may quote an answer, and so a secret. */

const DENIED =
  "AWS denies it: secretsmanager:GetSecretValue must be allowed for it, and kms:Decrypt where it has a key of its own";

const TROUBLES: Readonly<Record<string, string>> = {
  ResourceNotFoundException: "there is no such secret in this region and account, or it has no value yet",
  AccessDeniedException: DENIED,
  InvalidRequestException: "it cannot be read, as when it is marked for deletion",
  InvalidParameterException: "AWS takes this for neither the name nor the ARN of a secret",
  ValidationException: "AWS takes this for neither the name nor the ARN of a secret",
  DecryptionFailure: "its key cannot be used, so it cannot be decrypted",
  UnsafeEndpoint: "the endpoint in AWS's configuration is neither https nor on this machine",
  TimeoutError: "AWS cannot be reached in time",
  AbortError: "AWS has not answered in time",
  CredentialsProviderError:
    "no AWS credentials that can be used were found: environment, shared configuration, sign-on session, container, instance",
  TokenProviderError: "the AWS sign-on session is over or missing",
};

/** Where AWS turns the credentials down themselves. */
const CREDENTIALS_REFUSED = new Set([
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "ExpiredToken",
  "ExpiredTokenException",
  "IncompleteSignature",
  "MissingAuthenticationTokenException",
]);

export function awsTrouble(thrown: unknown): string {
  const { name, code, $metadata, message } = (thrown ?? {}) as {
    readonly [K in "name" | "code" | "message"]?: unknown;
  } & { readonly $metadata?: { readonly httpStatusCode?: number } };
  const kind = word(name) ?? "an error without a name";
  if (Object.hasOwn(TROUBLES, kind)) return TROUBLES[kind]!;
  if (CREDENTIALS_REFUSED.has(kind)) return `AWS does not accept the credentials (${kind})`;
  const status = $metadata?.httpStatusCode;
  if (status === 401 || status === 403) return DENIED;
  if (status !== undefined) return `AWS's answer is an error or not to be understood (${status}, ${kind})`;
  if (message === "Region is missing") return "no AWS region is set, here or in AWS's configuration";
  return `AWS cannot be reached (${word(code) ?? kind})`;
}

/** An error's name or code, if it is no more than that. */
function word(value: unknown): string | undefined {
  return typeof value === "string" && /^[A-Za-z0-9_.]{1,64}$/.test(value) ? value : undefined;
}
