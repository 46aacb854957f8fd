/**
 * Compares the archive's objects, as they lie in R2, with what was sent. Raw is at-least-once: a line may be there more
 * often than it was sent, but none may be missing, and none may be there that nobody sent.
 */
import { gunzipSync } from 'node:zlib'
import { IdSet } from './id-set.ts'
import type { LineLedger } from './line-ledger.ts'
import type { NodeMap } from './node-map.ts'
import { members } from './raw-json.ts'

/** An object as the index lists it; of what it says, this is checked. */
export interface ListedObject {
  readonly sequence: number
  readonly type: string
  readonly bytes: number
  readonly lines: number
}

export interface RawFindings {
  readonly objects: number
  readonly lines: number
  readonly due: number
  readonly missing: number
  readonly unexplained: number
  readonly wrongNode: number
  /** Objects that are not what the index says: of another size, with another number of lines. */
  readonly misindexed: number
  /** Objects that were gone when they were read: compacted meanwhile. Then all of this must be read again. */
  readonly gone: number
  readonly eventIds: IdSet
  /** A few of what should not be as it is, for people. */
  readonly examples: readonly string[]
}

export interface RawOptions {
  readonly objects: AsyncIterable<ListedObject>
  /** An object's gzipped NDJSON; undefined where it is gone. */
  readonly read: (sequence: number) => Promise<Buffer | undefined>
  readonly ledger: LineLedger
  readonly nodes: NodeMap
  /** Whether others than the fleet may have sent a line of that node that the fleet did not send. */
  readonly isForeign: (nodeId: string) => boolean
}

const MAX_EXAMPLES = 5
/** What agents send; the archive holds rows of live queries and the audit's lines, too. */
const AGENT_TYPES: readonly string[] = ['result', 'snapshot', 'status']
const LINE_FEED = 0x0a

/** Reads all objects of agents' lines. */
export async function verifyRaw(options: RawOptions): Promise<RawFindings> {
  const { ledger, objects, read } = options
  const found = { objects: 0, lines: 0, unexplained: 0, wrongNode: 0, misindexed: 0, gone: 0 }
  const eventIds = new IdSet()
  const examples: string[] = []
  const complain = (text: string) => {
    if (examples.length < MAX_EXAMPLES) examples.push(text)
  }
  ledger.unsee()
  for await (const object of objects) {
    if (!AGENT_TYPES.includes(object.type)) continue
    const gzipped = await read(object.sequence)
    if (!gzipped) {
      found.gone += 1
      continue
    }
    found.objects += 1
    let lines = 0
    for (const line of linesOf(gunzipSync(gzipped))) {
      lines += 1
      const sighting = see(line, options, eventIds)
      if (sighting === 'unexplained') found.unexplained += 1
      if (sighting === 'wrong-node') found.wrongNode += 1
      if (sighting !== 'fine') complain(`raw ${sighting}: ${line.slice(0, 400)}`)
    }
    found.lines += lines
    if (lines === object.lines && gzipped.byteLength === object.bytes) continue
    found.misindexed += 1
    complain(
      `raw object ${object.sequence}: ${lines} lines, ${gzipped.byteLength} bytes; listed with ${object.lines}, ${object.bytes}`,
    )
  }
  const { due, missing } = ledger.tally()
  return { ...found, due, missing, eventIds, examples }
}

/** A line of text for each line, byte by byte: agents' lines need not be UTF-8. */
function* linesOf(ndjson: Buffer): Generator<string> {
  for (let start = 0; start < ndjson.length;) {
    const end = ndjson.indexOf(LINE_FEED, start)
    const stop = end === -1 ? ndjson.length : end
    if (stop > start) yield ndjson.toString('latin1', start, stop)
    start = stop + 1
  }
}

function see(
  line: string,
  { isForeign, ledger, nodes }: RawOptions,
  eventIds: IdSet,
): 'fine' | 'unexplained' | 'wrong-node' {
  const found = members(line)
  const text = (name: string) => JSON.parse(found.get(name) ?? '""') as string | null
  const nodeId = text('nodeId') ?? ''
  const bytes = Buffer.from(found.get('line') ?? '', 'latin1')
  const kind = text('type') === 'status' ? 'status' : 'result'
  const sender = ledger.machineOf(kind, bytes)
  if (sender === undefined) return isForeign(nodeId) ? 'fine' : 'unexplained'
  eventIds.add(text('eventId') ?? '')
  ledger.see(kind, bytes, undefined)
  return nodes.bind(nodeId, sender) ? 'fine' : 'wrong-node'
}
