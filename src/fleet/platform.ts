/** Platforms: the exact name that osquery gives (`ubuntu`, `darwin`, …) and the family that queries care about. */

const FAMILIES = ['unknown', 'linux', 'darwin', 'windows', 'freebsd'] as const
export type PlatformFamily = (typeof FAMILIES)[number]

/** The family as one byte, for the node key. Append only: the numbers are in keys that agents hold. */
export function platformFamilyCode(family: PlatformFamily): number {
  return FAMILIES.indexOf(family)
}

export function platformFamilyOfCode(code: number): PlatformFamily {
  return FAMILIES[code] ?? 'unknown'
}

/** Whether a text names a family that operators may target (`unknown` included: nodes that have not told). */
export function isPlatformFamily(text: string): text is PlatformFamily {
  return FAMILIES.some((family) => family === text)
}

/**
 * The family of an enrolling agent: from `platform_type`, a bitmask in digits (POSIX 1, Windows 2, BSD 4, Linux 8,
 * macOS 16, FreeBSD 32; spec 2.1), else from the names in os_version and osquery_info.
 */
export function platformFamilyOf(platformType: string, names: readonly string[]): PlatformFamily {
  const mask = /^\d{1,3}$/.test(platformType) ? Number(platformType) : 0
  if ((mask & 2) !== 0) return 'windows'
  if ((mask & 16) !== 0) return 'darwin'
  if ((mask & 32) !== 0) return 'freebsd'
  if ((mask & 8) !== 0) return 'linux'
  for (const name of names) if (name !== 'unknown' && isPlatformFamily(name)) return name
  return names.some((name) => name !== '') ? 'linux' : 'unknown'
}
