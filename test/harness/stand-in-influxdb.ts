/** The stand-in for InfluxDB, served on a loopback port, set up as the real one is. */
import { createStandIn } from "../../src/stand-in/stand-in.ts";
import { InfluxDbUnderTest, setup } from "./influxdb-under-test.ts";

const OPERATOR_TOKEN = "operator-token-of-the-tests";

export class StandInInfluxDb extends InfluxDbUnderTest {
  readonly #server: { stop(closeActiveConnections: boolean): Promise<void> };

  constructor(
    server: { stop(closeActiveConnections: boolean): Promise<void> },
    options: ConstructorParameters<typeof InfluxDbUnderTest>[0],
  ) {
    super(options);
    this.#server = server;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}

export async function startStandInInfluxDb(
  options: {
    operatorToken?: string;
    /** Told the body of each write that was taken, before its answer goes. */
    onWrite?: (body: Uint8Array) => void;
  } = {},
): Promise<StandInInfluxDb> {
  const operatorToken = options.operatorToken ?? OPERATOR_TOKEN;
  const standIn = createStandIn({
    adminToken: operatorToken,
    organization: setup.organization,
    buckets: [setup.bucket],
  });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    idleTimeout: 255,
    fetch: options.onWrite ? (request) => noted(request, standIn.fetch, options.onWrite!) : standIn.fetch,
  });
  return new StandInInfluxDb(server, {
    url: `http://127.0.0.1:${server.port}`,
    organizationId: standIn.organizationId,
    bucketId: standIn.bucketId(setup.bucket),
    operatorToken,
  });
}

async function noted(
  request: Request,
  answer: (request: Request) => Promise<Response>,
  onWrite: (body: Uint8Array) => void,
): Promise<Response> {
  if (new URL(request.url).pathname !== "/api/v2/write") return await answer(request);
  const body = await request.clone().arrayBuffer();
  const response = await answer(request);
  if (response.status === 204) onWrite(new Uint8Array(body));
  return response;
}
