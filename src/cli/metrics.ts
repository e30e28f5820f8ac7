/** `/metrics`: the roles' own counts in Prometheus' text format, read when asked for. */
import type { Counter, Gauge } from "prom-client";
import { runtime, version } from "./version.ts";

export interface Metric {
  /** Without the `culvert_` in front. */
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly help: string;
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export async function exposition(metrics: readonly Metric[]): Promise<{ contentType: string; body: string }> {
  // Loaded when it is first asked for: it would take a third of the start.
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  const known = new Map<string, Counter | Gauge>();
  for (const { name, kind, help, value, labels = {} } of metrics) {
    let metric = known.get(name);
    if (!metric) {
      const options = {
        name: `culvert_${name}`,
        help,
        labelNames: Object.keys(labels),
        registers: [registry],
      };
      metric = kind === "counter" ? new Counter(options) : new Gauge(options);
      known.set(name, metric);
    }
    metric.inc(labels, value);
  }
  return { contentType: registry.contentType, body: await registry.metrics() };
}

export function processMetrics(): Metric[] {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    {
      name: "build_info",
      kind: "gauge",
      help: "Version and runtime; always 1.",
      value: 1,
      labels: { version, runtime },
    },
    { name: "process_resident_bytes", kind: "gauge", help: "Resident memory.", value: rss },
    { name: "process_heap_bytes", kind: "gauge", help: "JavaScript heap in use.", value: heapUsed },
    {
      name: "process_cpu_seconds_total",
      kind: "counter",
      help: "CPU time spent.",
      value: (user + system) / 1e6,
    },
    { name: "process_uptime_seconds", kind: "gauge", help: "Time since the start.", value: process.uptime() },
  ];
}
