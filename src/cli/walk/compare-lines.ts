/** Whether the archive has what was acknowledged: nothing missing, nothing twice, nothing that was never sent. */

export interface Line {
  kind: 'result' | 'status'
  /** As the agent wrote it. */
  text: string
}

export interface LineFaults {
  missing: Line[]
  doubled: Line[]
  foreign: Line[]
}

/**
 * Each acknowledged line must be found once. Lines of equal text may be found as often as they were acknowledged, and
 * may have become one: an event's id is made of its text. A line that was only sent may be there once.
 */
export function compareLines(
  acknowledged: readonly Line[],
  sent: readonly Line[],
  found: readonly Line[],
): LineFaults {
  const acknowledgedTimes = timesOf(acknowledged)
  const sentTimes = timesOf(sent)
  const foundTimes = timesOf(found)
  return {
    missing: linesOf(acknowledgedTimes, (key) => !foundTimes.has(key)),
    doubled: linesOf(foundTimes, (key, times) => times > Math.max(1, acknowledgedTimes.get(key) ?? 0)),
    foreign: linesOf(foundTimes, (key) => !sentTimes.has(key)),
  }
}

/** How often each line occurs. */
function timesOf(lines: readonly Line[]): Map<string, number> {
  const times = new Map<string, number>()
  for (const { kind, text } of lines) {
    const key = `${kind} ${text}`
    times.set(key, (times.get(key) ?? 0) + 1)
  }
  return times
}

function linesOf(times: Map<string, number>, isWanted: (key: string, times: number) => boolean): Line[] {
  return [...times]
    .filter(([key, count]) => isWanted(key, count))
    .map(([key]) => {
      const kind = key.startsWith('result ') ? 'result' : 'status'
      return { kind, text: key.slice(kind.length + 1) }
    })
}
