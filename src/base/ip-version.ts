/**
 * @returns 4 or 6 for an address in its usual spelling (no zone, no brackets, no leading zeros), else 0. As
 * node:net's `isIP`, without its load time, which is a tenth of an inlet's start; it knows some IPv6 with
 * an IPv4 tail less, those that Bun's `URL` cannot read.
 */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) return 4;
  // Bun's URL takes a colon too many at the end.
  const looksLikeIpv6 = /^[0-9a-fA-F:.]{2,45}$/.test(text) && text.includes(":") && !/[^:]:$/.test(text);
  return looksLikeIpv6 && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
