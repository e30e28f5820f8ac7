/**
 * A policy written in CEL (the Common Expression Language), in a part of it that always ends soon:
 * no regular expressions, no loops, no arithmetic, a limit on its size. Its types are checked when it is
 * compiled, so that `request.metod` is a mistake in the config and not a rule that denies everybody.
 */
import { type ASTNode, Environment, type ParseResult, serialize } from "@marcbachmann/cel-js";
import { Fault } from "../base/fault.ts";
import type { Attributes } from "../identity/attributes.ts";
import { checkVocabulary, childrenOf, REQUEST_FIELDS } from "./expression-vocabulary.ts";
import type { RequestFacts } from "./policy.ts";

/** May throw, which means no. */
export interface Rule {
  readonly asksRequest: boolean;
  allows(attributes: Attributes, request: RequestFacts): boolean;
  mayAllow(attributes: Attributes): boolean;
}

/** @throws Fault `policy.invalid` */
export function compileExpression(text: string): Rule {
  const { ast, run } = compiled(text);
  const asksRequest = mentionsRequest(ast);
  const outcomes = asksRequest ? outcomesOf(ast) : outcomesWithout(run);
  return {
    asksRequest,
    allows: (subject, { method, path, bucket }) =>
      run({ subject, request: { method, path, bucket } }) === true,
    mayAllow: (subject) => (outcomes(subject) & TRUE) !== 0,
  };
}

const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 32,
  maxListElements: 128,
  maxMapEntries: 1,
  maxCallArguments: 4,
};

const environment = new Environment({ limits: LIMITS })
  .registerVariable("subject", "map<string, string>")
  .registerVariable({
    name: "request",
    schema: Object.fromEntries(REQUEST_FIELDS.map((field) => [field, "string"])),
  });

function compiled(text: string): { ast: ASTNode; run: ParseResult } {
  try {
    const run = environment.parse(text);
    checkVocabulary(run.ast);
    const { valid, type, error } = run.check();
    if (!valid) throw error;
    if (type === "bool") return { ast: run.ast, run };
    throw new Fault("policy.invalid", `it comes to a ${type}, and has to come to true or false (column 1)`);
  } catch (thrown) {
    throw invalid(text, thrown);
  }
}

function invalid(text: string, thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const { summary, range } = thrown as { readonly summary?: unknown; readonly range?: { start?: unknown } };
  const what = typeof summary === "string" ? summary : "it cannot be read";
  const at = typeof range?.start === "number" ? range.start : 0;
  return new Fault("policy.invalid", `${what} (${place(text, at)})`, { cause: thrown });
}

function place(text: string, at: number): string {
  const before = text.slice(0, at).split("\n");
  const column = `column ${(before.at(-1)?.length ?? 0) + 1}`;
  return before.length > 1 ? `line ${before.length}, ${column}` : column;
}

function mentionsRequest(node: ASTNode): boolean {
  return (node.op === "id" && node.args === "request") || childrenOf(node).some(mentionsRequest);
}

/** A set of what may come of an expression whose request is not known. */
type Outcomes = number;

const TRUE = 1;
const FALSE = 2;
const ERROR = 4;
const ANYTHING: Outcomes = TRUE | FALSE | ERROR;
const EACH = [TRUE, FALSE, ERROR] as const;

/**
 * What may come of it for some request. Parts that look at the request may come to anything; of the
 * others the value is known, and an error does not reach past an `||` or `&&` that the other side decides.
 */
function outcomesOf(node: ASTNode): (attributes: Attributes) => Outcomes {
  if (!mentionsRequest(node)) return outcomesWithout(compiled(serialize(node)).run);
  switch (node.op) {
    case "&&":
      return joined(node.args, FALSE);
    case "||":
      return joined(node.args, TRUE);
    case "!_": {
      const inner = outcomesOf(node.args);
      return (attributes) => opposite(inner(attributes));
    }
    case "?:": {
      const [condition, then, otherwise] = node.args.map(outcomesOf);
      return (attributes) => {
        const chosen = condition!(attributes);
        return (
          (chosen & TRUE && then!(attributes)) | (chosen & FALSE && otherwise!(attributes)) | (chosen & ERROR)
        );
      };
    }
    default:
      return () => ANYTHING;
  }
}

function outcomesWithout(run: ParseResult): (attributes: Attributes) => Outcomes {
  return (subject) => {
    try {
      return run({ subject }) === true ? TRUE : FALSE;
    } catch {
      return ERROR;
    }
  };
}

/** @param decisive what either side decides the whole by. */
function joined(
  [leftNode, rightNode]: readonly [ASTNode, ASTNode],
  decisive: typeof TRUE | typeof FALSE,
): (attributes: Attributes) => Outcomes {
  const left = outcomesOf(leftNode);
  const right = outcomesOf(rightNode);
  return (attributes) => {
    const [lefts, rights] = [left(attributes), right(attributes)];
    let outcomes = 0;
    for (const l of EACH) {
      for (const r of EACH) {
        if (!(lefts & l && rights & r)) continue;
        outcomes |= l === decisive || r === decisive ? decisive : l === ERROR ? ERROR : r;
      }
    }
    return outcomes;
  };
}

function opposite(outcomes: Outcomes): Outcomes {
  return (outcomes & TRUE && FALSE) | (outcomes & FALSE && TRUE) | (outcomes & ERROR);
}
