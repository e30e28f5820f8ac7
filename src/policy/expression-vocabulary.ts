/**
 * Which words of CEL a policy may use. By name: what is not here is refused, with what to write instead.
 */
import type { ASTNode } from "@marcbachmann/cel-js";

/** What of a request a policy may look at. */
export const REQUEST_FIELDS = ["method", "path", "bucket"] as const;

/** In the form of the CEL library's own errors. */
export class Refusal extends Error {
  readonly summary: string;
  readonly range: { readonly start: number };

  constructor(node: ASTNode, summary: string) {
    super(summary);
    this.summary = summary;
    this.range = { start: startOf(node) };
  }
}

/** Of a field or a method, where its name is. */
function startOf(node: ASTNode): number {
  if (node.op === ".") return node.pos;
  return node.op === "rcall" ? node.args[1].end + 1 : node.start;
}

/** @throws Refusal */
export function checkVocabulary(node: ASTNode): void {
  switch (node.op) {
    case "value":
      if (["string", "bigint", "boolean"].includes(typeof node.args)) return;
      throw new Refusal(node, "a value here is a text, a whole number, true or false");
    case "id":
      return checkName(node, node.args);
    case ".":
      if (node.args[0].op === "id" && node.args[0].args === "request") return checkField(node, node.args[1]);
      break;
    case "call":
      if (!FUNCTIONS.has(node.args[0])) throw new Refusal(node, insteadOf(node.args[0]));
      break;
    case "rcall":
      if (!METHODS.has(node.args[0])) throw new Refusal(node, insteadOf(node.args[0]));
      break;
    case "list":
    case "[]":
    case "!_":
    case "?:":
      break;
    case "-":
    case "-_":
      throw new Refusal(
        node,
        'there is no "-" here: an attribute whose name has a hyphen is written subject["a-b"]',
      );
    default:
      if (!OPERATORS.has(node.op)) {
        throw new Refusal(node, `there is no ${node.op === "map" ? "{…}" : `"${node.op}"`} here: ${OFFER}`);
      }
  }
  for (const child of childrenOf(node)) checkVocabulary(child);
}

/** The expressions that an expression is made of. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case "value":
    case "id":
      return [];
    case ".":
    case ".?":
      return [node.args[0]];
    case "call":
      return node.args[1];
    case "rcall":
      return [node.args[1], ...node.args[2]];
    case "map":
      return node.args.flat();
    case "!_":
    case "-_":
      return [node.args];
    default:
      return node.args;
  }
}

/** `+` joins texts; every value is as long as its parts, and there are no loops to make it grow in. */
const OPERATORS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||", "+"]);
const FUNCTIONS: ReadonlySet<string> = new Set(["has", "size"]);
const METHODS: ReadonlySet<string> = new Set(["startsWith", "endsWith", "contains", "size"]);
const LOOPS: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"]);
const OFFER =
  "use == != < <= > >= in && || ! ?: + [lists] has(subject.x) size(x) and the methods startsWith, endsWith, contains";

function checkName(node: ASTNode, name: string): void {
  if (name === "subject") return;
  throw new Refusal(
    node,
    name === "request"
      ? `a request is looked at by its fields: request.${REQUEST_FIELDS.join(", request.")}`
      : `"${name}" is unknown here: an attribute is written subject.${name}, a text with quotation marks`,
  );
}

function checkField(node: ASTNode, field: string): void {
  if (REQUEST_FIELDS.some((known) => known === field)) return;
  throw new Refusal(node, `a request has no "${field}", it has ${REQUEST_FIELDS.join(", ")}`);
}

function insteadOf(name: string): string {
  if (name === "matches") {
    return "there are no regular expressions here: use ==, in, startsWith, endsWith or contains";
  }
  if (LOOPS.has(name))
    return `there are no loops here: instead of ${name}() use in with a list, or && and ||`;
  return `there is no ${name}() here: ${OFFER}`;
}
