/**
 * An extra lease is one that a member asks for beside its own, for a command. In the book it stands under a
 * name of its own, `<member>/<place>`: nothing that happens to the member's own lease supersedes it.
 */

/** Of one member at once. */
export const MAX_EXTRA_LEASES = 4;

/** The names under which a member's extra leases may stand. */
export function extraHolders(member: string): string[] {
  return Array.from({ length: MAX_EXTRA_LEASES }, (_, place) => `${member}/${place + 1}`);
}

export function isExtra(holder: string): boolean {
  return holder.includes("/");
}

/** Whose lease it is that stands under this name. */
export function ownerOf(holder: string): string {
  return holder.split("/", 1)[0]!;
}
