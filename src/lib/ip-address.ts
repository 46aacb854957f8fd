/**
 * IP addresses and networks as texts that sort: `4` and 8 hex digits, or `6` and 32. So a network is a range of such
 * texts, and an index finds it. Pure.
 */

/** A range of keys, both ends included. */
export interface AddressRange {
  first: string
  last: string
}

const IPV4_BITS = 32
const IPV6_BITS = 128
/** ::ffff:0:0/96, RFC 4291 2.5.5.2: an IPv4 address that came over an IPv6 socket. */
const MAPPED_IPV4 = '600000000000000000000ffff'

/**
 * The key of an address; null where the text is none. An IPv4 address in IPv6 form is the IPv4 address; a zone
 * (`fe80::1%eth0`, as osquery writes it) does not count.
 */
export function addressKey(text: string): string | null {
  const [address = ''] = text.trim().split('%')
  const octets = octetsOf(address)
  if (octets !== null) return `4${hexOfOctets(octets)}`
  const hextets = hextetsOf(address)
  if (hextets === null) return null
  const key = `6${hextets.map((part) => part.toString(16).padStart(4, '0')).join('')}`
  return key.startsWith(MAPPED_IPV4) ? `4${key.slice(MAPPED_IPV4.length)}` : key
}

/** The address of a key, in its usual form (RFC 5952); the key itself where it is none. */
export function addressOfKey(key: string): string {
  if (/^4[0-9a-f]{8}$/.test(key)) return (key.slice(1).match(/../g) ?? []).map(hexNumber).join('.')
  if (/^6[0-9a-f]{32}$/.test(key)) return compressed((key.slice(1).match(/..../g) ?? []).map(hexNumber))
  return key
}

/** The keys of one address, or of a network in CIDR form; null where the text is neither. */
export function addressRange(text: string): AddressRange | null {
  const [address = '', prefix, ...rest] = text.trim().split('/')
  const key = addressKey(address)
  if (key === null || rest.length > 0) return null
  if (prefix === undefined) return { first: key, last: key }
  const bits = key.startsWith('4') ? IPV4_BITS : IPV6_BITS
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return null
  const free = BigInt(bits - Number(prefix))
  const base = (BigInt(`0x${key.slice(1)}`) >> free) << free
  const keyOf = (value: bigint) => key[0] + value.toString(16).padStart(bits / 4, '0')
  return { first: keyOf(base), last: keyOf(base + (1n << free) - 1n) }
}

/** Whether an address says where a machine is: not loopback, link-local, multicast or the unspecified one. */
export function isTellingAddress(key: string): boolean {
  return !UNTELLING.some(({ first, last }) => first <= key && key <= last)
}

const UNTELLING: readonly AddressRange[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/127',
  'fe80::/10',
  'ff00::/8',
].flatMap((network) => addressRange(network) ?? [])

function octetsOf(text: string): number[] | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  const octets = match?.slice(1).map(Number) ?? []
  return octets.length === 4 && octets.every((octet) => octet <= 255) ? octets : null
}

function hexOfOctets(octets: readonly number[]): string {
  return octets.map((octet) => octet.toString(16).padStart(2, '0')).join('')
}

function hexNumber(digits: string): number {
  return Number.parseInt(digits, 16)
}

/** The eight numbers of an IPv6 address, its last two as four octets where it is so written. */
function hextetsOf(text: string): number[] | null {
  const [head = '', tail, ...rest] = text.split('::')
  const before = partsOf(head, tail === undefined)
  const after = tail === undefined ? [] : partsOf(tail, true)
  if (rest.length > 0 || before === null || after === null) return null
  const missing = 8 - before.length - after.length
  if (tail === undefined ? missing !== 0 : missing < 1) return null
  return [...before, ...Array.from({ length: missing }, () => 0), ...after]
}

/** Four octets may stand at the very end of an address only. */
function partsOf(text: string, endsAddress: boolean): number[] | null {
  if (text === '') return []
  const parts: number[] = []
  const texts = text.split(':')
  for (const [at, part] of texts.entries()) {
    const octets = endsAddress && at === texts.length - 1 ? octetsOf(part) : null
    if (octets !== null) {
      const digits = hexOfOctets(octets)
      parts.push(hexNumber(digits.slice(0, 4)), hexNumber(digits.slice(4)))
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) parts.push(hexNumber(part))
    else return null
  }
  return parts
}

/** The longest run of at least two zeros becomes `::`, the first of equal ones. */
function compressed(parts: readonly number[]): string {
  let start = -1
  let length = 1
  for (let at = 0; at < parts.length; at += 1) {
    let end = at
    while (parts[end] === 0) end += 1
    if (end - at > length) {
      start = at
      length = end - at
    }
  }
  const text = (some: readonly number[]) => some.map((part) => part.toString(16)).join(':')
  return start === -1 ? text(parts) : `${text(parts.slice(0, start))}::${text(parts.slice(start + length))}`
}
