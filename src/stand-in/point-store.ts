/**
 * The points of one bucket, in memory and bounded: past the bound the oldest written go. As in InfluxDB a
 * field value is known by its series and time, so writing a point twice leaves one.
 */
import type { FieldValue, Point } from "./line-protocol.ts";

export interface Series {
  readonly measurement: string;
  readonly field: string;
  readonly tags: readonly (readonly [key: string, value: string])[];
}

export interface Sample {
  readonly series: Series;
  readonly timeNs: bigint;
  readonly value: FieldValue;
}

export class PointStore {
  readonly #maxSamples: number;
  readonly #samples = new Map<string, Sample>();
  readonly #types = new Map<string, string>();
  readonly #series = new Map<string, Series>();

  /** @param maxSamples how many field values are kept. */
  constructor(maxSamples: number) {
    this.#maxSamples = maxSamples;
  }

  /**
   * Stores what it can: a field keeps the type that it was first written with.
   * @param nowNs the time of points that carry none.
   * @returns what was left out and why, or undefined when nothing was.
   */
  write(points: readonly Point[], nowNs: bigint): string | undefined {
    let conflict: string | undefined;
    let dropped = 0;
    for (const { measurement, tags, fields, timeNs = nowNs } of points) {
      const odd = fields.find(([field, value]) => this.#typeOf(measurement, field, value) !== typeof value);
      if (odd !== undefined) {
        conflict ??= `input field "${odd[0]}" on measurement "${measurement}" is of another type already`;
        dropped++;
        continue;
      }
      for (const [field, value] of fields) {
        const name = JSON.stringify([measurement, field, tags]);
        const series = this.#series.get(name) ?? { measurement, field, tags };
        this.#series.set(name, series);
        this.#samples.set(`${timeNs} ${name}`, { series, timeNs, value });
      }
    }
    for (const key of this.#samples.keys()) {
      if (this.#samples.size <= this.#maxSamples) break;
      this.#samples.delete(key);
    }
    // Only what is still counted may stay: names of series are data of clients too.
    if (this.#series.size > this.#maxSamples) this.#forgetEmptySeries();
    return conflict === undefined ? undefined : `field type conflict: ${conflict} dropped=${dropped}`;
  }

  /** Samples with a time in [start, stop), in time order. */
  select(startNs: bigint, stopNs: bigint, matches: (series: Series) => boolean = () => true): Sample[] {
    return [...this.#samples.values()]
      .filter(({ series, timeNs }) => timeNs >= startNs && timeNs < stopNs && matches(series))
      .sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
  }

  /** Both ends are in, as InfluxDB's delete has it. */
  delete(startNs: bigint, stopNs: bigint, matches: (series: Series) => boolean): void {
    for (const [key, { series, timeNs }] of this.#samples) {
      if (timeNs >= startNs && timeNs <= stopNs && matches(series)) this.#samples.delete(key);
    }
  }

  #typeOf(measurement: string, field: string, value: FieldValue): string {
    const name = JSON.stringify([measurement, field]);
    const known = this.#types.get(name);
    if (known === undefined) this.#types.set(name, typeof value);
    return known ?? typeof value;
  }

  #forgetEmptySeries(): void {
    this.#types.clear();
    const used = new Set([...this.#samples.values()].map((sample) => sample.series));
    for (const [name, series] of this.#series) if (!used.has(series)) this.#series.delete(name);
  }
}
