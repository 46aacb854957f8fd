/** Step: what the agent was told is safe is in the archive, byte for byte and once. */

import type { Bytes } from '../../lib/bytes.ts'
import { isJsonObject } from '../../simulator/json.ts'
import type { Line } from './compare-lines.ts'
import { compareLines } from './compare-lines.ts'
import type { OperatorApi } from './operator-api.ts'
import { rawLines } from './raw-lines.ts'
import type { Seen } from './report.ts'
import { WalkFailure, expect } from './report.ts'
import type { LogItem } from './shapes.ts'
import { logItem } from './shapes.ts'
import { until } from './wait.ts'
import type { WalkingAgent } from './walking-agent.ts'

const LOOK_EVERY_MS = 500
const SHOWN_CHARACTERS = 200

interface FoundLine extends Line {
  item: LogItem
}

/** Reads the archive until every acknowledged line is there; then nothing may be there twice or unsent. */
export async function findEveryLine(
  { agent, nodeId }: WalkingAgent,
  api: OperatorApi,
  withinMs: number,
): Promise<Seen<undefined>> {
  const { hostname } = agent.identity.host
  const found = await until('every line in the archive', { withinMs, everyMs: LOOK_EVERY_MS }, async () => {
    const lines = await api.all(`/logs?node=${nodeId}`, logItem, foundLines)
    const { missing } = compareLines(agent.acknowledgedLines, agent.sentLines, lines)
    if (missing.length > 0)
      throw new WalkFailure(
        `${missing.length} of ${agent.acknowledgedLines.length} are missing, e.g. ${shown(missing[0])}`,
      )
    return lines
  })
  const { doubled, foreign } = compareLines(agent.acknowledgedLines, agent.sentLines, found)
  expect(doubled.length === 0, `${doubled.length} lines are there twice, e.g. ${shown(doubled[0])}`)
  expect(foreign.length === 0, `${foreign.length} lines were never sent so, e.g. ${shown(foreign[0])}`)
  checkItems(found, hostname, nodeId)
  return { value: undefined, detail: `${found.length} lines, equal byte for byte, each once` }
}

function foundLines(items: LogItem[], body: Bytes): FoundLine[] {
  const lines = rawLines(body)
  return items.flatMap((item, index): FoundLine[] => {
    // Answers to live queries become lines too, but no agent's logger sent them.
    if (item.type === 'query') return []
    const text = lines.get(index)
    if (text === undefined) throw new WalkFailure(`log item ${item.eventId} has no line`)
    // A snapshot travels as a result (specification 2.3); the archive tells it apart.
    return [{ kind: item.type === 'status' ? 'status' : 'result', text, item }]
  })
}

/** What stands around the lines. */
function checkItems(found: readonly FoundLine[], hostname: string, nodeId: string): void {
  const ids = new Set(found.map(({ item }) => item.eventId))
  expect(ids.size === found.length, `${found.length} lines have ${ids.size} event ids`)
  const stranger = found.find(({ item }) => item.hostname !== hostname || item.nodeId !== nodeId)
  expect(
    stranger === undefined,
    `a line is said to be of ${stranger?.item.hostname} ${stranger?.item.nodeId}`,
  )
  const mistaken = found.find(({ kind, item, text }) => kind === 'result' && !isDescribed(item, text))
  expect(
    mistaken === undefined,
    `a line is called ${mistaken?.item.type} ${mistaken?.item.name}: ${shown(mistaken)}`,
  )
  const times = found.map(({ item }) => Date.parse(item.receivedAt))
  const isNewestFirst = times.every((time, index) => time <= (times[index - 1] ?? Infinity))
  expect(isNewestFirst, 'the lines are not listed newest first')
}

function isDescribed(item: LogItem, text: string): boolean {
  const line: unknown = JSON.parse(text)
  if (!isJsonObject(line)) return false
  return item.name === line.name && item.type === (line.action === 'snapshot' ? 'snapshot' : 'result')
}

function shown(line: Line | undefined): string {
  return `${line?.kind} ${line?.text.slice(0, SHOWN_CHARACTERS)}`
}
