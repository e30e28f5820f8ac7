import { Fault } from "../base/fault.ts";
import { checkAttribute } from "../identity/attributes.ts";

/**
 * `K=V` of the command line. The value may be empty: that is a text too, and not the attribute's absence.
 * @throws Fault `usage.invalid` that names the argument.
 */
export function attributeArguments(given: readonly string[]): Record<string, string> {
  const attributes = Object.create(null) as Record<string, string>;
  for (const argument of given) {
    const at = argument.indexOf("=");
    if (at < 1) throw new Fault("usage.invalid", `"${argument}" is no attribute; write it NAME=VALUE`);
    const name = argument.slice(0, at);
    const value = argument.slice(at + 1);
    try {
      checkAttribute(name, value);
    } catch (cause) {
      throw new Fault("usage.invalid", `"${argument}": ${Fault.from(cause).message}`, { cause });
    }
    if (name in attributes) throw new Fault("usage.invalid", `attribute "${name}" is given twice`);
    attributes[name] = value;
  }
  return attributes;
}
