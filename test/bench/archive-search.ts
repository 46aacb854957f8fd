/**
 * What a search costs in a large archive: fills one environment with hours of a fleet's lines, has them compacted by the
 * Worker, and searches by node, by name and by text. `node test/bench/archive-search.ts [nodes] [hours]`
 */

import { utf8 } from '../../src/lib/bytes.ts'
import { ArchiveWriter } from '../../src/logs/archive-writer.ts'
import { envelopeOf } from '../../src/logs/line.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from '../../src/logs/source-facts.ts'
import { wakeCompaction } from '../../src/logs/compact/wake.ts'
import { startServer, type TestServer } from '../support/harness.ts'

const HOUR_MS = 3_600_000
const POST_EVERY_MS = 300_000
const LINES_OF_POST = 6
const NAMES = 20
const START_MS = Date.UTC(2026, 5, 1)
const RARE_NODE_SHARE = 0.5

const nodes = Number(process.argv[2] ?? 10_000)
const hours = Number(process.argv[3] ?? 1)

let events = 0
function nodeIdOf(node: number): string {
  // Spread over the whole range, as random ids are.
  const head = ((node * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0')
  return `${head}-0000-4000-8000-${node.toString(16).padStart(12, '0')}`
}

async function fill(server: TestServer, environmentId: string): Promise<{ lines: number; bytes: number }> {
  let lines = 0
  let bytes = 0
  for (let atMs = 0; atMs < hours * HOUR_MS; atMs += 5_000) {
    const writer = new ArchiveWriter(server.env)
    for (let node = 0; node < nodes; node += 1) {
      const offsetMs = (node * 7_919) % POST_EVERY_MS
      if (Math.floor(offsetMs / 5_000) !== Math.floor((atMs % POST_EVERY_MS) / 5_000)) continue
      const origin = {
        environmentId,
        nodeId: nodeIdOf(node),
        ordinal: node,
        platform: 'linux',
        receivedAtMs: START_MS + atMs + (offsetMs % 5_000),
      }
      const source = {
        ...sourceOf(origin, NOTHING_KNOWN),
        hostname: `host-${node}.example.com`,
        platform: 'linux',
      }
      for (let index = 0; index < LINES_OF_POST; index += 1) {
        events += 1
        const eventId = `${((events * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, '0')}${events.toString(16).padStart(24, '0')}`
        const name = `pack/baseline/query_${(node + events) % NAMES}`
        const facts = { type: 'result' as const, name, ...UNKNOWN_NAME, eventId, index }
        const envelope = envelopeOf(source, facts, utf8(lineOf(name, node)))
        lines += 1
        bytes += envelope.length
        await writer.add(`${atMs}`, source, facts, envelope)
      }
    }
    const failed = await writer.flush()
    if (failed.size > 0) throw new Error('the archive did not take the lines')
  }
  return { lines, bytes }
}

function lineOf(name: string, node: number): string {
  return JSON.stringify({
    name,
    hostIdentifier: `host-${node}`,
    calendarTime: 'Mon Jun  1 12:00:00 2026 UTC',
    unixTime: 1_780_315_200 + (events % 300),
    epoch: 0,
    counter: events,
    numerics: false,
    columns: {
      pid: String((events * 7_919) % 65_536),
      path: `/usr/lib/x${(events * 31) % 9_973}/bin`,
      uid: String(node % 50),
    },
    action: events % 2 === 0 ? 'added' : 'removed',
  })
}

async function search(
  server: TestServer,
  environmentId: string,
  what: string,
  parameters: string,
): Promise<void> {
  const startedMs = performance.now()
  const reply = await server.operator('GET', `/environments/${environmentId}/logs?limit=100&${parameters}`)
  const { items, searched, searchedThrough, nextCursor } = reply.json<{
    items: object[]
    searched: object
    searchedThrough: string | null
    nextCursor: string | null
  }>()
  const ms = Math.round(performance.now() - startedMs)
  console.log(
    JSON.stringify({
      what,
      status: reply.status,
      lines: items.length,
      ms,
      ...searched,
      searchedThrough,
      more: nextCursor !== null,
    }),
  )
}

async function searchAll(server: TestServer, environmentId: string, state: string): Promise<void> {
  const node = nodeIdOf(Math.floor(nodes * RARE_NODE_SHARE))
  const newest = new Date(START_MS + hours * HOUR_MS).toISOString()
  await search(server, environmentId, `${state}: first page`, `until=${newest}`)
  await search(server, environmentId, `${state}: one node`, `node=${node}&until=${newest}`)
  await search(server, environmentId, `${state}: one name`, `name=pack/baseline/query_7&until=${newest}`)
  await search(server, environmentId, `${state}: no such node`, `node=ffffffff-ffff-4fff-8fff-ffffffffffff`)
  await search(server, environmentId, `${state}: no such name`, `name=nothing`)
  await search(server, environmentId, `${state}: text that is nowhere`, `text=nowhere`)
}

const server = await startServer()
try {
  const environmentId = crypto.randomUUID()
  const reply = await server.operator('POST', '/environments', { name: 'large' })
  const { id } = reply.json<{ id: string }>()
  const environment = id ?? environmentId
  let startedMs = performance.now()
  const filled = await fill(server, environment)
  console.log(
    JSON.stringify({ what: 'filled', ...filled, s: Math.round((performance.now() - startedMs) / 1_000) }),
  )
  await searchAll(server, environment, 'raw')
  startedMs = performance.now()
  await wakeCompaction(server.env, [environment])
  const stub = () => server.env.ARCHIVE_INDEX.getByName(environment)
  await server.until(async () => (await stub().health()).compaction.rawObjects === 0, 300_000)
  const s = (performance.now() - startedMs) / 1_000
  console.log(
    JSON.stringify({
      what: 'compacted',
      s: Math.round(s),
      mbPerS: Math.round(filled.bytes / s / 1e6),
      ...(await stub().health()).compaction,
    }),
  )
  await searchAll(server, environment, 'compacted')
} finally {
  await server.close()
}
