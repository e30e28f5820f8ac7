import { describe, expect, it } from "vitest";
import type { Fault } from "../../../src/base/fault.ts";
import { fieldOf } from "../../../src/secrets/json-field.ts";

const NAME = "secret @{aws:x}";
const timestream = JSON.stringify({
  engine: "timestream-influxdb",
  org: "edge",
  adminSecretArn: "arn:aws:secretsmanager:us-west-2:1:secret:admin",
  type: "operator",
  dbIdentifier: "db1",
  token: "open-sesame",
});
const admin = JSON.stringify({ engine: "timestream-influxdb", username: "admin", password: "hunter2" });

function refusal(text: string, field: string | undefined): string {
  try {
    fieldOf(NAME, text, field);
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "secret.unavailable" });
    expect((thrown as Fault).message).not.toMatch(/hunter2|open-sesame/);
    return (thrown as Fault).message;
  }
  throw new Error("it was taken");
}

describe("a field of a secret", () => {
  it.each(["open-sesame", '"open-sesame"', "12345", "[1]", "{not json"])(
    "is the whole where it is no object: %s",
    (text) => {
      expect(fieldOf(NAME, text, undefined)).toBe(text);
    },
  );

  it("is found in an object by its name", () => {
    expect(fieldOf(NAME, timestream, "token")).toBe("open-sesame");
  });

  it("L14 has to be named in an object, and the fault says which there are", () => {
    expect(refusal(timestream, undefined)).toMatch(/#field.*"engine", "org".*"token"/);
  });

  it("L14 that is not there is a fault that says which are", () => {
    expect(refusal(timestream, "Token")).toMatch(/no field "Token".*"token"/);
  });

  it.each([undefined, "token"])(
    "L14 of a secret with user name and password is a fault that says so (%s)",
    (field) => {
      expect(refusal(admin, field)).toMatch(/user name and a password.*another secret/);
    },
  );

  it.each(["token", "toString", "__proto__"])(
    "is none of plain text or of what every object has: %s",
    (field) => {
      refusal("hunter2", field);
      expect(refusal('{"a":"hunter2"}', field)).toMatch(/no field/);
    },
  );

  it("is text", () => {
    refusal('{"token":{"hunter2":1}}', "token");
  });

  it("is named among twenty at most, each cut when long", () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`${i}`.padStart(500, "f"), ""]));
    expect(refusal(JSON.stringify(many), undefined).length).toBeLessThan(2_000);
  });
});
