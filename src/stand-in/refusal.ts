/** What InfluxDB answers when it does not do as it is asked: a code from its own table, and a message. */

const STATUS = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  "not found": 404,
  "method not allowed": 405,
  "request too large": 413,
  conflict: 422,
  "unprocessable entity": 422,
  "internal error": 500,
} as const;

export type RefusalCode = keyof typeof STATUS;

export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }

  toResponse(): Response {
    return Response.json(
      { code: this.code, message: this.message },
      { status: STATUS[this.code], headers: { "x-platform-error-code": this.code } },
    );
  }
}
