/** An inlet app over a fake tunnel, and the small things that its tests do over and over. */
import { expect } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import type { Fault, FaultCode } from "../../../src/base/fault.ts";
import { silentLog } from "../../../src/base/log.ts";
import { Secret } from "../../../src/base/secret.ts";
import { createInletApp, type InletApp } from "../../../src/proxy/inlet-app.ts";
import type { InletDeps, InletLease } from "../../../src/proxy/inlet-deps.ts";
import { defaultInletLimits, type InletLimits } from "../../../src/proxy/inlet-limits.ts";
import { FakeUplink } from "./fake-uplink.ts";

export const LEASE: InletLease = {
  leaseId: "lease-1",
  token: new Secret("leased-token-1"),
  routes: ["read", "write"],
};

export interface InletFixture {
  readonly app: InletApp;
  readonly uplink: FakeUplink;
  readonly limits: InletLimits;
  readonly faults: FaultCode[];
  readonly replaced: string[];
  /** Sends a request to the app. */
  send(
    method: string,
    target: string,
    init?: {
      headers?: Record<string, string>;
      body?: ConstructorParameters<typeof Response>[0];
      signal?: AbortSignal;
    },
  ): Promise<Response>;
}

export type FixtureOptions = Partial<Omit<InletDeps, "limits">> & {
  limits?: Partial<InletLimits>;
  uplink?: FakeUplink;
  held?: InletLease | null;
  /** What a request finds under way when no lease is held. */
  replacement?: Promise<InletLease>;
  refusal?: Fault;
};

export function inletFixture(options: FixtureOptions = {}): InletFixture {
  const uplink = options.uplink ?? new FakeUplink();
  const limits = { ...defaultInletLimits, ...options.limits };
  const faults: FaultCode[] = [];
  const replaced: string[] = [];
  const held = options.held === undefined ? LEASE : options.held;
  const app = createInletApp({
    service: "influxdb",
    lease: {
      use: () => held ?? undefined,
      replace: async (leaseId, why) => {
        replaced.push(`${leaseId} ${why}`);
        return { ...LEASE, leaseId: "lease-2", token: new Secret("leased-token-2") };
      },
      replacement: () => options.replacement,
      refusal: () => options.refusal,
    },
    openRoutes: [],
    guard: { allowHosts: [], allowOrigins: [], boundAddress: "127.0.0.1" },
    log: silentLog,
    meter: {
      started: () => {},
      answered: () => {},
      faulted: (code) => faults.push(code),
      replayed: () => {},
    },
    clock: systemClock,
    ...options,
    uplink,
    limits,
  });
  return {
    app,
    uplink,
    limits,
    faults,
    replaced,
    async send(method, target, { headers = {}, body = null, signal } = {}) {
      const lengths = typeof body === "string" ? { "content-length": String(Buffer.byteLength(body)) } : {};
      return app.fetch(
        new Request(`http://localhost:8086${target}`, {
          method,
          headers: { host: "localhost:8086", ...lengths, ...headers },
          body,
          ...(signal ? { signal } : {}),
          ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
        } as RequestInit),
      );
    },
  };
}

/** Waits for a condition, never for a time. */
export async function until(condition: () => boolean, withinMs = 5_000): Promise<void> {
  const lastMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > lastMs) throw new Error(`not within ${withinMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A response that is culvert's own word, with this fault. */
export async function expectFault(response: Response, code: FaultCode, status: number): Promise<void> {
  const answer = (await response.json()) as { fault: string };
  expect({ fault: answer.fault, status: response.status }).toEqual({ fault: code, status });
}
