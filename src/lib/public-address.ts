/**
 * Whether a URL's host is one on the public internet. Pure. The URL parser has normalised it by then (WHATWG URL 4.4):
 * decimal, octal, hex and short spellings of IPv4 are four decimals, IPv6 is compressed, names are lower-case ASCII.
 */

/** IPv4 networks that are not public (IANA IPv4 special-purpose registry), as address and prefix length. */
const IPV4_REFUSED: readonly (readonly [address: string, prefixBits: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  // Carrier-grade NAT; some clouds keep their metadata here.
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Link-local: cloud metadata is 169.254.169.254.
  ['169.254.0.0', 16],
  // Azure's host agent, on a public address.
  ['168.63.129.16', 32],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
]

/** Names under which networks keep what is their own (RFC 6761, 6762, 8375, ICANN's `internal`, and habits). */
const PRIVATE_ZONES = [
  'localhost',
  'local',
  'localdomain',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
]

/** Whether a `hostname` of a URL is a public name or address. */
export function isPublicHost(hostname: string): boolean {
  if (hostname.startsWith('[')) return isPublicIpv6(hostname.slice(1, -1))
  const ipv4 = ipv4Of(hostname)
  return ipv4 === null ? isPublicName(hostname) : isPublicIpv4(ipv4)
}

/** A host's name as it is compared: without the dot of the root. */
export function plainHost(hostname: string): string {
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
}

function isPublicName(hostname: string): boolean {
  const name = plainHost(hostname)
  // A name without a dot is found by a search list only: never on the internet.
  if (!name.includes('.')) return false
  return !PRIVATE_ZONES.some((zone) => name === zone || name.endsWith(`.${zone}`))
}

function ipv4Of(hostname: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.?$/.exec(hostname)
  if (match === null) return null
  return match.slice(1).reduce((address, part) => address * 256 + Number(part), 0)
}

function isPublicIpv4(address: number): boolean {
  return !IPV4_REFUSED.some(([network, prefixBits]) => {
    const size = 2 ** (32 - prefixBits)
    return Math.floor(address / size) === Math.floor((ipv4Of(network) ?? 0) / size)
  })
}

/**
 * Global unicast is 2000::/3 alone (RFC 4291), which leaves out loopback, link-local, unique-local, multicast, mapped
 * IPv4 and NAT64. Within it are documentation and networks that carry an IPv4 address inside.
 */
function isPublicIpv6(text: string): boolean {
  const [first = 0, second = 0] = hextetsOf(text)
  if (first < 0x2000 || first > 0x3fff) return false
  // 2001::/23 is protocol assignments: Teredo, benchmarks, ORCHID (RFC 2928).
  if (first === 0x2001 && (second < 0x0200 || second === 0x0db8)) return false
  // 6to4; documentation, 3fff::/20.
  return first !== 0x2002 && !(first === 0x3fff && second < 0x1000)
}

/** The eight numbers of a compressed address. */
function hextetsOf(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const before = partsOf(head)
  if (tail === undefined) return before
  const after = partsOf(tail)
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

function partsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((part) => Number.parseInt(part, 16))
}
