/** What an outlet's services tell Prometheus. */
import type { InfluxdbService } from "../outlet/influxdb-service.ts";
import type { Metric } from "./metrics.ts";

export function outletMetrics(services: readonly InfluxdbService[]): Metric[] {
  const metrics: Metric[] = [];
  for (const service of services) {
    const labels = { service: service.name };
    const { counts } = service;
    const { leases, totals, revocationsPending, ready, foreign } = service.keeper.snapshot();
    const add = (kind: Metric["kind"], name: string, help: string, value: number): void => {
      metrics.push({ kind, name, help, value, labels });
    };
    add("gauge", "outlet_ready", "1 when InfluxDB was reached and leases can be made.", ready ? 1 : 0);
    add("counter", "outlet_requests_total", "Requests let through to InfluxDB.", counts.requests);
    add("counter", "outlet_requests_refused_total", "Requests refused at the gate.", counts.refused);
    add("counter", "outlet_requests_failed_total", "Requests that ended in a fault or a 5xx.", counts.failed);
    add("gauge", "outlet_requests_active", "Requests under way.", counts.active);
    const returning = service.pace?.status();
    add(
      "gauge",
      "outlet_return_under_way",
      "1 while a crowd of members is let back in slots.",
      returning?.state === "returning" ? 1 : 0,
    );
    add("gauge", "outlet_return_waiting", "Members whose slot is still to come.", returning?.waiting ?? 0);
    add(
      "counter",
      "outlet_writes_paced_total",
      "Writes that were told to come later.",
      returning?.paced ?? 0,
    );
    add("counter", "outlet_received_bytes_total", "Request body bytes from members.", counts.receivedBytes);
    add("counter", "outlet_sent_bytes_total", "Answer body bytes to members.", counts.sentBytes);
    add("gauge", "outlet_leases_foreign", "Tokens that look like leases of another outlet.", foreign.count);
    add(
      "gauge",
      "outlet_leases_orphaned",
      "Of those, past their expiry by more than an hour.",
      foreign.orphaned,
    );
    add("gauge", "outlet_leases", "InfluxDB tokens of ours that may be alive.", leases.length);
    add("counter", "outlet_leases_created_total", "Tokens made.", totals.created);
    add(
      "counter",
      "outlet_lease_creations_failed_total",
      "Tokens that could not be made.",
      totals.creationsFailed,
    );
    add("counter", "outlet_leases_adopted_total", "Tokens found again after a restart.", totals.adopted);
    add("counter", "outlet_leases_resumed_total", "Of those, taken back by their members.", totals.resumed);
    add("counter", "outlet_leases_revoked_total", "Tokens ended.", totals.revoked);
    add(
      "counter",
      "outlet_revocations_failed_total",
      "Failed tries to end a token.",
      totals.revocationsFailed,
    );
    add(
      "gauge",
      "outlet_revocations_pending",
      "Tokens that still have to be ended after a failure.",
      revocationsPending,
    );
  }
  return metrics;
}
