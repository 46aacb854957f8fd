/** Comparisons with a release of osquery: `5.12.1`, `>=5.10`, `<5.0`. Pure. */

const RANGE = /^(>=|<=|>|<|=)?\s*(\d{1,9}(?:\.\d{1,9}){0,3})$/

/**
 * Whether a version is meant by a range; null where the text is none. Parts count as numbers (5.9 is before 5.10). What a
 * range does not write is not compared for `=`: `5.10` means 5.10.0 and 5.10.2. A build's suffix (`5.12.1-dirty`) does
 * not count; a version that is no version matches nothing.
 */
export function readVersionRange(text: string): ((version: string) => boolean) | null {
  const [, operator = '=', release] = RANGE.exec(text.trim()) ?? []
  if (release === undefined) return null
  const wanted = partsOf(release)
  return (version) => {
    const matched = /^\d+(?:\.\d+)*/.exec(version)
    if (matched === null) return false
    const order = compare(partsOf(matched[0]).slice(0, wanted.length), wanted)
    switch (operator) {
      case '>=':
        return order >= 0
      case '<=':
        return order <= 0
      case '>':
        return order > 0
      case '<':
        return order < 0
      default:
        return order === 0
    }
  }
}

function partsOf(release: string): number[] {
  return release.split('.').map(Number)
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, part] of b.entries()) {
    const difference = (a[index] ?? 0) - part
    if (difference !== 0) return difference
  }
  return 0
}
