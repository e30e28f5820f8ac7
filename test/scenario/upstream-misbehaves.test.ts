import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Pair, startPair, writeLines } from "../harness/culvert.ts";
import { eventually } from "../harness/eventually.ts";
import { type Misbehaviour, noContent, RogueInfluxDb } from "../harness/rogue-influxdb.ts";
import { checkLeaks } from "../harness/spawned.ts";

checkLeaks();

let rogue: RogueInfluxDb;
let pair: Pair;

beforeAll(async () => {
  rogue = await RogueInfluxDb.start();
  pair = await startPair({
    influxUrl: rogue.url,
    adminToken: rogue.standIn.operatorToken.reveal(),
    inlet: 'timeout = "2s"',
    outlet: 'timeout = "1s"',
    permissions: ["write:metrics", "read:metrics"],
  });
});

afterAll(async () => {
  await pair.stop();
  await rogue.stop();
});

beforeEach(() => {
  rogue.requests.length = 0;
});

const write = (): Promise<Response> => writeLines(pair.url, "m v=1 1");
const query = (): Promise<Response> =>
  fetch(`${pair.url}/api/v2/query?org=edge`, {
    method: "POST",
    headers: { "content-type": "application/vnd.flux" },
    body: 'from(bucket:"metrics") |> range(start:0)',
    redirect: "manual",
  });

const says = (bytes: string): Misbehaviour => {
  return (socket) => {
    socket.write(bytes, "latin1");
  };
};

/** The answer is culvert's own, one that clients retry, and the next request is none the worse. */
async function expectOwnAnswer(status: 502 | 503, fault: string, behave: Misbehaviour): Promise<void> {
  rogue.behave = behave;
  const answer = await write();
  expect(await answer.json()).toMatchObject({ fault });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  await expectClean();
}

async function expectClean(): Promise<void> {
  rogue.behave = noContent;
  rogue.requests.length = 0;
  const next = await write();
  expect([next.status, await next.text(), next.headers.get("x-from")]).toEqual([204, "", "rogue"]);
  expect(rogue.requests).toEqual(["POST /api/v2/write"]);
}

describe("H17: an answer that is not valid HTTP is 502", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const cases: Readonly<Record<string, string>> = {
    "both a length and a coding": `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    "two lengths": `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
    "a length that is none": `${ok}Content-Length: 5x\r\n\r\nhello`,
    "bare LF": "HTTP/1.1 204 No Content\nX-From: rogue\n\n",
    "a header with NUL": "HTTP/1.1 204 No Content\r\nX-From: a\u0000b\r\n\r\n",
    "a header without a name": "HTTP/1.1 204 No Content\r\n: rogue\r\n\r\n",
    "a line folded": "HTTP/1.1 204 No Content\r\nX-From: a\r\n b\r\n\r\n",
    "another protocol": "SSH-2.0-OpenSSH_9.9\r\n",
    "HTTP/2": "HTTP/2 204\r\n\r\n",
    "bytes of nothing": "\u0000\u0001\u0002\u00ff\u00fe\r\n\r\n",
    "a status that is none": "HTTP/1.1 999 Beyond\r\nContent-Length: 0\r\n\r\n",
  };
  for (const [name, bytes] of Object.entries(cases)) {
    it(`for ${name}`, () => expectOwnAnswer(502, "upstream.malformed", says(bytes)));
  }

  it("for headers without an end, of which little is read", async () => {
    let sent = 0;
    await expectOwnAnswer(502, "upstream.malformed", (socket) => {
      const line = `X-More: ${"x".repeat(1000)}\r\n`.repeat(16);
      // A gigabyte, as fast as it is taken.
      const more = (): void => {
        while (!socket.destroyed && sent < 1e9) {
          sent += line.length;
          if (!socket.write(line)) return;
        }
      };
      socket.on("drain", more);
      socket.write("HTTP/1.1 200 OK\r\n");
      more();
    });
    expect(sent).toBeLessThan(16e6);
  });
});

describe("H17: an answer that InfluxDB does not give to a write is 502, and is not followed", () => {
  for (const status of [301, 302, 303, 304, 307, 308, 408, 421, 425]) {
    it(`for ${status}`, async () => {
      const location = `Location: ${rogue.url}/api/v2/write\r\nContent-Length: 0\r\n`;
      rogue.requests.length = 0;
      let asked = 0;
      await expectOwnAnswer(502, "upstream.malformed", (socket) => {
        asked++;
        socket.write(`HTTP/1.1 ${status} Odd\r\n${location}\r\n`);
      });
      expect(asked).toBe(1);
    });
  }

  it("but a query's 302 is the client's to read", async () => {
    rogue.behave = says("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    expect((await query()).status).toBe(302);
    expect(rogue.requests).toEqual(["POST /api/v2/query"]);
  });
});

describe("H17: an answer that ends early never looks whole", () => {
  const short: Readonly<Record<string, string>> = {
    "its length says more": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    "its last chunk is missing": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    "a chunk is no chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nzzz\r\n",
  };
  for (const [name, bytes] of Object.entries(short)) {
    it(`when ${name}`, async () => {
      rogue.behave = (socket) => {
        socket.end(bytes);
      };
      const outcome = await query()
        .then(async (answer) => ({ status: answer.status, text: await answer.text() }))
        .catch(() => "cut");
      if (outcome !== "cut") expect(outcome).toMatchObject({ status: 502 });
      await expectClean();
    });
  }
});

describe("what is valid passes", () => {
  it("after interim answers", async () => {
    const interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    rogue.behave = says(`${interim}HTTP/1.1 204 No Content\r\nX-From: rogue\r\n\r\n`);
    const answer = await write();
    expect([answer.status, answer.headers.get("x-from"), answer.headers.get("link")]).toEqual([
      204,
      "rogue",
      null,
    ]);
    await expectClean();
  });

  for (const bytes of [0, 100, 1_024, 1_025, 100_000]) {
    it(`as a 403 of ${bytes} bytes, though its text is read for why the token was refused`, async () => {
      const text = "x".repeat(bytes);
      rogue.behave = says(`HTTP/1.1 403 Forbidden\r\nContent-Length: ${bytes}\r\n\r\n${text}`);
      const answer = await write();
      expect([answer.status, await answer.text()]).toEqual([403, text]);
      await expectClean();
    });
  }

  it("without a length, up to the close", async () => {
    rogue.behave = (socket) => {
      socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end");
    };
    expect(await (await query()).text()).toBe("to the end");
    await expectClean();
  });

  it("with a second answer behind it, which nobody asked for and nobody gets", async () => {
    rogue.behave = says(
      "HTTP/1.1 204 No Content\r\nX-From: rogue\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
    );
    expect((await write()).status).toBe(204);
    await expectClean();
  });

  it("in pieces of one byte", async () => {
    rogue.behave = (socket) => {
      const bytes = "HTTP/1.1 204 No Content\r\nX-From: rogue\r\n\r\n";
      let sent = 0;
      const next = (): void => {
        if (sent < bytes.length && !socket.destroyed) socket.write(bytes[sent++]!, () => setImmediate(next));
      };
      next();
    };
    expect((await write()).status).toBe(204);
    await expectClean();
  });
});

describe("H14: an InfluxDB that does not answer is 503", () => {
  it("when it switches protocols instead", async () => {
    const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: rogue\r\nConnection: upgrade\r\n\r\n";
    await expectOwnAnswer(503, "upstream.unreachable", says(head));
  });

  it("when it says to go on, which nobody asked for", async () => {
    await expectOwnAnswer(503, "upstream.unreachable", says("HTTP/1.1 100 Continue\r\n\r\n"));
  });

  it("when it closes at once", async () => {
    await expectOwnAnswer(503, "upstream.unreachable", (socket) => {
      socket.destroy();
    });
  });

  it("when it says nothing, within the time-out", async () => {
    const startedMs = performance.now();
    await expectOwnAnswer(503, "upstream.timeout", () => {});
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  it("when its head drips, within the client's time", async () => {
    const drips = new Set<ReturnType<typeof setInterval>>();
    const startedMs = performance.now();
    await expectOwnAnswer(503, "upstream.timeout", (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      drips.add(setInterval(() => socket.write("X-A: b\r\n"), 50));
    });
    for (const drip of drips) clearInterval(drip);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });
});

describe("H16: a kept connection that is closed under a request", () => {
  /** Answers the first request of a connection and closes it at the second. */
  const closesOnReuse: Misbehaviour = (socket, nth) => {
    if (nth === 1) noContent(socket, nth);
    else socket.destroy();
  };

  it("costs a write at most one duplicate", async () => {
    rogue.behave = closesOnReuse;
    const statuses = new Set<number>();
    let repeated = 0;
    for (let i = 0; i < 30; i++) {
      rogue.requests.length = 0;
      statuses.add((await write()).status);
      expect(rogue.requests.length).toBeLessThanOrEqual(2);
      if (rogue.requests.length === 2) repeated++;
    }
    // The second try may meet another dead connection; then it is for the client to repeat.
    expect([...statuses].filter((status) => status !== 204 && status !== 503)).toEqual([]);
    expect(statuses.has(204)).toBe(true);
    expect(repeated).toBeGreaterThan(0);
    await expectClean();
  });

  it("is never sent a query twice", async () => {
    rogue.behave = closesOnReuse;
    const statuses: number[] = [];
    await eventually("a query on a connection that closes", async () => {
      rogue.requests.length = 0;
      statuses.push((await query()).status);
      expect(rogue.requests.length).toBeLessThanOrEqual(1);
      return statuses.includes(503);
    });
    expect(new Set(statuses)).toEqual(statuses.includes(204) ? new Set([204, 503]) : new Set([503]));
    await expectClean();
  });
});

it("the outlet has outlived it all, with no request left over", async () => {
  expect(pair.outlet.process.exit).toBeUndefined();
  const { active } = (await pair.outlet.status()).roles.outlet.services[0];
  expect(active).toBe(0);
  expect(pair.outlet.log).not.toMatch(/internal\.bug/);
  expect(pair.inlet.log).not.toMatch(/internal\.bug/);
});
