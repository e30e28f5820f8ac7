/** What this node's way to its outlet has cost, for `/status`, `/metrics` and `culvert status`. */
import type { Tally, Traffic, TrafficMeter, Way } from "../channel/traffic-meter.ts";
import { number, record, type Told } from "./admin-answer.ts";
import type { Metric } from "./metrics.ts";
import { spanText } from "./span-text.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

interface EachWay {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface TrafficStatus {
  readonly idle: EachWay;
  readonly overhead: EachWay;
  readonly payload: EachWay;
  /** An estimate, with TCP and IP around it; `payload` with its overhead. */
  readonly onTheWire: { readonly idle: EachWay; readonly payload: EachWay };
}

export function trafficStatus(meter: TrafficMeter, nowMs: number) {
  const { overMs, ...lately } = meter.lately(nowMs);
  const perDay = overMs > 0 ? DAY_MS / overMs : 0;
  return { ...statusOf(meter.total, 1), perDay: { ...statusOf(lately, perDay), overMs: Math.round(overMs) } };
}

function statusOf({ sent, received }: Traffic, factor: number): TrafficStatus {
  const each = (key: keyof Tally): EachWay => ({
    sentBytes: Math.round(sent[key] * factor),
    receivedBytes: Math.round(received[key] * factor),
  });
  return {
    idle: each("idleBytes"),
    overhead: each("overheadBytes"),
    payload: each("payloadBytes"),
    onTheWire: { idle: each("idleWireBytes"), payload: each("payloadWireBytes") },
  };
}

export function trafficMetrics({ total }: TrafficMeter): Metric[] {
  return (["sent", "received"] as const).flatMap((direction) => oneWay(direction, total[direction]));
}

function oneWay(direction: Way, tally: Tally): Metric[] {
  const counted = (name: string, help: string, value: number, labels = {}): Metric => ({
    ...{ name, help, value, kind: "counter" },
    labels: { direction, ...labels },
  });
  const onTheWire = "An estimate of the bytes with TCP and IP around them.";
  return [
    counted("channel_idle_bytes_total", "Bytes that were for no client.", tally.idleBytes),
    counted("channel_overhead_bytes_total", "Bytes around clients' bodies.", tally.overheadBytes),
    counted("channel_payload_bytes_total", "Bytes of clients' bodies.", tally.payloadBytes),
    counted("channel_wire_bytes_total", onTheWire, tally.idleWireBytes, { purpose: "idle" }),
    counted("channel_wire_bytes_total", onTheWire, tally.payloadWireBytes, { purpose: "payload" }),
  ];
}

/** A day's sum by the first minutes, with their handshakes, would frighten for nothing. */
const MIN_SPAN_MS = 10 * 60_000;

/** Of what a node has told; undefined where it has not, or for too short a time. */
export function trafficText({ perDay }: Told): string | undefined {
  const { overMs, idle, payload, onTheWire } = record(perDay);
  const span = number(overMs);
  if (span === undefined || span < MIN_SPAN_MS) return undefined;
  const each = (told: unknown): string => {
    const { sentBytes, receivedBytes } = record(told);
    return `${sizeText(number(sentBytes) ?? 0)} sent, ${sizeText(number(receivedBytes) ?? 0)} received`;
  };
  const sum = (told: unknown): string => {
    const { sentBytes, receivedBytes } = record(told);
    return sizeText((number(sentBytes) ?? 0) + (number(receivedBytes) ?? 0));
  };
  const wire = record(onTheWire);
  const estimate = `about ${sum(wire.idle)} idle and ${sum(wire.payload)} for clients on the wire`;
  return `idle ${each(idle)}; payload ${each(payload)}; ${estimate} (by the last ${spanText(span)})`;
}

/** In thousands, as carriers count: `"812 B"`, `"61 kB"`, `"1.2 MB"`. */
function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`;
  if (bytes < 1_000_000) return `${shortText(bytes / 1_000)} kB`;
  return `${shortText(bytes / 1_000_000)} MB`;
}

function shortText(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
