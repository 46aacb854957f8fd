/** Compares the lines that the server gives back with those that were sent. */
import { IdSet } from './id-set.ts'
import type { LineLedger, LineTally, Sighting } from './line-ledger.ts'
import type { NodeMap } from './node-map.ts'
import { elements, members } from './raw-json.ts'

/** What reading all lines showed. */
export interface LineFindings extends LineTally {
  readonly read: number
  readonly sightings: Readonly<Record<Sighting, number>>
  /** Lines that were not in the order that is promised: newest first. */
  readonly outOfOrder: number
  /** A few of the lines that should not be as they are, for people. */
  readonly examples: readonly string[]
  /** Machines that miss most lines, with how many. */
  readonly missingByMachine: readonly (readonly [machine: number, lines: number])[]
  /** Of the fleet's lines. */
  readonly eventIds: IdSet
}

const MAX_EXAMPLES = 5
/** What agents do not send, and the archive holds all the same. */
const OTHER_TYPES: readonly string[] = ['query', 'audit']

/**
 * Reads the pages of `…/logs` to the end. Learns which node is which machine. `isForeign` says of a line that nobody
 * here sent whether others may have: then it is left out.
 */
export async function verifyLines(
  pages: AsyncIterable<string>,
  ledger: LineLedger,
  nodes: NodeMap,
  isForeign: (nodeId: string) => boolean = () => false,
): Promise<LineFindings> {
  const sightings: Record<Sighting, number> = { expected: 0, unexplained: 0, doubled: 0, 'wrong-node': 0 }
  const examples: string[] = []
  const eventIds = new IdSet()
  let [read, outOfOrder, last] = [0, 0, '']
  ledger.unsee()
  for await (const page of pages) {
    for (const item of elements(members(page).get('items') ?? '[]')) {
      const line = readItem(item)
      if (OTHER_TYPES.includes(line.type)) continue
      read += 1
      // RFC 3339 of one form sorts as text.
      if (last !== '' && line.receivedAt > last) outOfOrder += 1
      last = line.receivedAt
      const sender = ledger.machineOf(line.kind, line.bytes)
      if (sender === undefined && isForeign(line.nodeId)) continue
      const isRightNode = sender === undefined || nodes.bind(line.nodeId, sender)
      if (sender !== undefined) eventIds.add(line.eventId)
      const timesNode = sender === undefined ? 1 : nodes.nodesOf(sender).length
      const seen = ledger.see(line.kind, line.bytes, undefined, timesNode)
      const sighting = isRightNode ? seen : 'wrong-node'
      sightings[sighting] += 1
      if (sighting !== 'expected' && examples.length < MAX_EXAMPLES)
        examples.push(`${sighting}: ${item.slice(0, 400)}`)
    }
  }
  const missing = [...ledger.missingByMachine()].toSorted(([, a], [, b]) => b - a)
  return {
    ...ledger.tally(),
    read,
    sightings,
    outOfOrder,
    examples,
    missingByMachine: missing.slice(0, MAX_EXAMPLES),
    eventIds,
  }
}

interface ReadLine {
  readonly eventId: string
  readonly type: string
  readonly nodeId: string
  readonly receivedAt: string
  readonly kind: 'status' | 'result'
  /** As the agent wrote it. */
  readonly bytes: string | Uint8Array
}

function readItem(item: string): ReadLine {
  const found = members(item)
  const text = (name: string) => (JSON.parse(found.get(name) ?? '""') as string | null) ?? ''
  const line = found.get('line')
  return {
    eventId: text('eventId'),
    type: text('type'),
    nodeId: text('nodeId'),
    receivedAt: text('receivedAt'),
    kind: text('type') === 'status' ? 'status' : 'result',
    bytes: line ?? Buffer.from(text('lineBase64'), 'base64'),
  }
}
