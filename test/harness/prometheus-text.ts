/** A strict reader of Prometheus' text format 0.0.4, which takes nothing that a server might trip over. */

type Labels = Readonly<Record<string, string>>;

export interface Exposition {
  /** @throws Error when there is no such series. */
  value(name: string, labels?: Labels): number;
  readonly names: readonly string[];
}

const NAME = /^culvert_[a-z][a-z0-9_]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|NaN|[+-]Inf)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

/** @throws Error with the line that is wrong. */
export function parseExposition(text: string): Exposition {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const types = new Map<string, string>();
  const series = new Map<string, number>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const wrong = (why: string): Error => new Error(`${why}: ${line}`);
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (types.has(name)) throw wrong("a metric is in two places");
      if (!NAME.test(name)) throw wrong("not one of our names");
      current = name;
    } else if (keyword === "TYPE") {
      if (name !== current || types.has(name)) throw wrong("a type without its help before it");
      if (rest !== "counter" && rest !== "gauge") throw wrong("neither counter nor gauge");
      if ((rest === "counter") !== name.endsWith("_total"))
        throw wrong("_total is for counters, all of them");
      types.set(name, rest);
    } else if (line !== "") {
      const [, of = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
      if (of === "") throw wrong("not a sample");
      if (of !== current || !types.has(of)) throw wrong("a sample outside its metric");
      const key = seriesKey(of, parseLabels(labels, wrong));
      if (series.has(key)) throw wrong("a series twice");
      if (Number(value) < 0) throw wrong("nothing of ours is below zero");
      series.set(key, Number(value));
    }
  }
  return {
    names: [...types.keys()],
    value(name, labels = {}) {
      const value = series.get(seriesKey(name, labels));
      if (value === undefined) throw new Error(`no ${seriesKey(name, labels)} in\n${text}`);
      return value;
    },
  };
}

function parseLabels(text: string, wrong: (why: string) => Error): Labels {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name, value] = LABEL.exec(text) ?? [];
    if (name === undefined || value === undefined) throw wrong("labels that are none");
    if (Object.hasOwn(labels, name)) throw wrong("a label twice");
    labels[name] = value.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
  }
  return labels;
}

function seriesKey(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name} ${JSON.stringify(pairs)}`;
}
