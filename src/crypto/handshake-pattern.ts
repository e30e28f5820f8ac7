/**
 * Handshake patterns (Noise rev. 34 §7) as data. culvert speaks XX alone; the form is the framework's, so
 * that published vectors of other patterns can drive the same code.
 */
export type Token = "e" | "s" | "ee" | "es" | "se" | "ss";

export interface HandshakePattern {
  readonly name: string;
  /** Messages in turn, the initiator's first. */
  readonly messages: readonly (readonly Token[])[];
}

/** Both ends show a static key, encrypted; the initiator's is hidden from all but the responder. */
export const XX: HandshakePattern = {
  name: "XX",
  messages: [
    ["e"], //              -> e
    ["e", "ee", "s", "es"], // <- e, ee, s, es
    ["s", "se"], //        -> s, se
  ],
};
