import type { Network } from "../config/network.ts";

/**
 * Whether an address is in one of the networks. An IPv4 address is looked up as such however the system
 * shows it: sockets that listen on `::` see it as `::ffff:192.0.2.7`.
 * @returns undefined for an empty list, which allows every address.
 */
export async function allowList(
  networks: readonly Network[],
): Promise<((address: string) => boolean) | undefined> {
  if (networks.length === 0) return undefined;
  // Loading it is a tenth of an inlet's start.
  const { BlockList, isIP } = await import("node:net");
  // One for each family: runtimes differ in whether ::/0 holds IPv4.
  const lists = { 4: new BlockList(), 6: new BlockList() };
  for (const { version, address, prefixBits } of networks) {
    lists[version].addSubnet(address, prefixBits, `ipv${version}`);
  }
  return (address) => {
    const plain = address.replace(MAPPED, "").replace(ZONE, "");
    const version = isIP(plain);
    return (version === 4 || version === 6) && lists[version].check(plain, `ipv${version}`);
  };
}

const MAPPED = /^::ffff:(?=\d+\.)/i;
/** Of a link-local address: the interface that it came in by. */
const ZONE = /%.*$/;
