/** Request bodies: bounded, unzipped, parsed. */
import { Refusal } from "./refusal.ts";

const MAX_JSON_BYTES = 16 * 1024 * 1024;

/** @throws Refusal `invalid` for what is no JSON object. */
export async function jsonBody(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const text = await bodyText(request, MAX_JSON_BYTES);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through to the one answer for all that is no object.
  }
  throw new Refusal("invalid", "invalid json structure");
}

/** The body, unzipped where it is gzip. @throws Refusal `request too large`, `internal error` for bad gzip. */
export async function bodyText(request: Request, maxBytes: number): Promise<string> {
  if (request.body === null) return "";
  const isGzip = request.headers.get("content-encoding") === "gzip";
  const body = isGzip ? request.body.pipeThrough(new DecompressionStream("gzip")) : request.body;
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of body as ReadableStream<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        throw new Refusal("request too large", "unable to read data: points batch is too large");
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("internal error", "unable to read data");
  }
  return text + decoder.decode();
}
