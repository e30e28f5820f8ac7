/** What undici, node:net and node:tls throw, in culvert's words: whom to blame, and what to do next. */
import errors from "undici/lib/core/errors.js";
import { Fault } from "../base/fault.ts";

export function upstreamFault(error: Error): Fault {
  if (error instanceof Fault) return error;
  const options = { cause: error };
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) {
    return new Fault("upstream.timeout", "InfluxDB did not answer in time", options);
  }
  if (
    error instanceof errors.HTTPParserError ||
    error instanceof errors.HeadersOverflowError ||
    error instanceof errors.ResponseContentLengthMismatchError
  ) {
    return new Fault("upstream.malformed", `InfluxDB's answer is not valid HTTP: ${error.message}`, options);
  }
  if (
    error instanceof errors.InvalidArgumentError ||
    error instanceof errors.RequestContentLengthMismatchError
  ) {
    return new Fault("request.malformed", `the request cannot be sent on: ${error.message}`, options);
  }
  const why = error.message || error.name;
  return new Fault("upstream.unreachable", `cannot reach InfluxDB: ${why}${remedy(error)}`, options);
}

/** By the code of OpenSSL's verification or of node:tls; the same on every runtime. */
const REMEDIES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "renew InfluxDB's certificate",
  DEPTH_ZERO_SELF_SIGNED_CERT: 'give the certificate itself as "tls_ca" if it is the right one',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the host in "url" must be one that the certificate names',
  SELF_SIGNED_CERT_IN_CHAIN: 'give its authority as "tls_ca"',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'give its authority as "tls_ca"',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'give its authority as "tls_ca"',
};

function remedy(error: Error): string {
  const code = (error as { code?: unknown }).code;
  const known = typeof code === "string" && Object.hasOwn(REMEDIES, code) ? REMEDIES[code] : undefined;
  if (known) return `; ${known}`;
  return /SSL routines/.test(error.message)
    ? '; does InfluxDB speak TLS there, and "tls_min_version"; does it want "tls_cert"?'
    : "";
}
