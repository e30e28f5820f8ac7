/** What portals tell Prometheus, at either end. */
import type { PortalCounts } from "../portal/portal-counts.ts";
import type { Metric } from "./metrics.ts";

export function portalMetrics(
  end: "inlet" | "outlet",
  portals: readonly { readonly service: string; readonly counts: PortalCounts }[],
): Metric[] {
  const metrics: Metric[] = [];
  for (const { service, counts } of portals) {
    const { active, connections, toServiceBytes, fromServiceBytes, refused } = counts.snapshot();
    const add = (kind: Metric["kind"], name: string, help: string, value: number, labels = {}): void => {
      metrics.push({ kind, name: `${end}_portal_${name}`, help, value, labels: { service, ...labels } });
    };
    add("gauge", "connections_active", "Connections of a portal that are open.", active);
    add("counter", "connections_total", "Connections of a portal that its service took.", connections);
    add("counter", "to_service_bytes_total", "Bytes from clients to the service.", toServiceBytes);
    add("counter", "from_service_bytes_total", "Bytes from the service to clients.", fromServiceBytes);
    for (const [code, count] of Object.entries(refused)) {
      add("counter", "refused_total", "Connections of a portal that were refused, by code.", count, { code });
    }
  }
  return metrics;
}
