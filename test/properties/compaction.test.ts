/**
 * Compaction against a model: objects come, some of them twice, agents send again, steps compact and delete, nodes are
 * erased, Workers die, hours pass - in any order. Whoever reads meanwhile gets each line once.
 */

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { workStep } from '../../src/logs/compact/step.ts'
import { Life, mortal } from '../logs/compact/killing.ts'
import {
  archivedKeys,
  compactAll,
  HOUR_MS,
  line,
  newEnvironment,
  NODES,
  readPage,
  START_MS,
} from '../logs/compact/support.ts'
import { writeObjects, type LogItem, type Written } from '../logs/support.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { checkServer } from './check.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

/** A lease ends before this. */
const LEASE_MS = 6 * 60_000
const HOURS = 3
/** What was received until then goes when a node is erased, also what comes late. */
const ERASED_UNTIL_MS = START_MS + 1.5 * HOUR_MS

/** A line of an object: which node, when; or one that came before, again. */
type Draft =
  | { kind: 'new'; node: number; atMs: number; index: number }
  | { kind: 'again'; which: number; laterMs: number }

const newLine = fc.record({
  kind: fc.constant('new' as const),
  node: fc.nat({ max: 2 }),
  atMs: fc.nat({ max: HOURS * HOUR_MS - 1 }),
  index: fc.nat({ max: 2 }),
})

function againAfter(laterMs: fc.Arbitrary<number>): fc.Arbitrary<Draft> {
  return fc.record({ kind: fc.constant('again' as const), which: fc.nat(), laterMs })
}

type Command =
  | { kind: 'add'; drafts: Draft[] }
  | { kind: 'redeliver'; which: number }
  | { kind: 'step' }
  | { kind: 'die'; call: number; doesLast: boolean }
  | { kind: 'pass'; hours: number }
  | { kind: 'erase'; node: number }
  | { kind: 'open'; limit: number }
  | { kind: 'read'; which: number }

function commands(
  draft: fc.Arbitrary<Draft>,
  others: readonly fc.Arbitrary<Command>[],
): fc.Arbitrary<Command[]> {
  const add = fc.record({
    kind: fc.constant('add' as const),
    drafts: fc.array(draft, { minLength: 1, maxLength: 4 }),
  })
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: add },
      { weight: 3, arbitrary: fc.constant({ kind: 'step' } as const) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('open' as const), limit: fc.integer({ min: 1, max: 4 }) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), which: fc.nat() }) },
      ...others.map((arbitrary) => ({ weight: 1, arbitrary })),
    ),
    { minLength: 4, maxLength: 16 },
  )
}

const redeliver = fc.record({ kind: fc.constant('redeliver' as const), which: fc.nat() })
const die = fc.record({
  kind: fc.constant('die' as const),
  call: fc.integer({ min: 1, max: 10 }),
  doesLast: fc.boolean(),
})
const pass = fc.record({ kind: fc.constant('pass' as const), hours: fc.constantFrom(2, 30) })
const erase = fc.record({ kind: fc.constant('erase' as const), node: fc.nat({ max: 2 }) })

interface Reader {
  limit: number
  cursor: string | null
  isDone: boolean
  shown: string[]
  /** What there was when it began. */
  promised: Set<string>
}

/** The archive and what it should be. */
class World {
  readonly #environment: string
  readonly #objects: Written[][] = []
  readonly #lines = new Map<string, Written>()
  readonly #erasedNodes = new Set<string>()
  readonly #readers: Reader[] = []
  #nowMs = Date.now()

  constructor(environment: string) {
    this.#environment = environment
  }

  async run(command: Command): Promise<void> {
    switch (command.kind) {
      case 'add':
        return this.#add(command.drafts)
      case 'redeliver': {
        const object = this.#objects[command.which % Math.max(1, this.#objects.length)]
        return object === undefined ? undefined : writeObjects(server.env, this.#environment, [object])
      }
      case 'step':
        await workStep(server.env, this.#environment, this.#nowMs)
        return
      case 'die':
        await workStep(
          mortal(server.env, new Life(command.call, command.doesLast)),
          this.#environment,
          this.#nowMs,
        ).catch(() => undefined)
        this.#nowMs += LEASE_MS
        return
      case 'pass':
        this.#nowMs += command.hours * HOUR_MS
        return
      case 'erase':
        return this.#erase(NODES[command.node] ?? '')
      case 'open':
        this.#readers.push({
          limit: command.limit,
          cursor: null,
          isDone: false,
          shown: [],
          promised: this.#present(),
        })
        return this.#read(this.#readers.length - 1)
      case 'read':
        return this.#read(command.which % Math.max(1, this.#readers.length))
    }
  }

  /** Everything is right now, and at the end of all work. */
  async settle(): Promise<void> {
    await this.#readAll()
    for (const at of this.#readers.keys()) {
      while (this.#readers[at]?.isDone === false) await this.#read(at)
    }
    await compactAll(server.env, this.#environment, this.#nowMs + LEASE_MS)
    await this.#readAll()
    await compactAll(server.env, this.#environment, this.#nowMs + 40 * HOUR_MS)
    await this.#readAll()
    const { compaction } = await server.env.ARCHIVE_INDEX.getByName(this.#environment).health()
    expect(compaction).toMatchObject({ rawObjects: 0, replacedObjects: 0, garbage: 0, missingObjects: 0 })
    expect(await archivedKeys(server.env, this.#environment)).toHaveLength(compaction.compactedObjects)
  }

  #present(): Set<string> {
    return new Set(
      [...this.#lines.values()].filter((one) => !this.#isErased(one)).map(({ eventId }) => eventId),
    )
  }

  #isErased({ nodeId, atMs }: Written): boolean {
    return this.#erasedNodes.has(nodeId) && atMs <= ERASED_UNTIL_MS
  }

  async #add(drafts: readonly Draft[]): Promise<void> {
    const object: Written[] = []
    for (const draft of drafts) {
      if (draft.kind === 'new') {
        object.push(line(draft.atMs, { nodeId: NODES[draft.node], index: draft.index }))
        continue
      }
      const known = [...this.#lines.values()]
      const original = known[draft.which % Math.max(1, known.length)]
      if (original === undefined) continue
      const again = { ...original, atMs: original.atMs + draft.laterMs }
      // Which copy of a line was erased is not what this is about.
      if (again.atMs <= ERASED_UNTIL_MS === original.atMs <= ERASED_UNTIL_MS) object.push(again)
    }
    if (object.length === 0) return
    for (const one of object) this.#lines.set(one.eventId, one)
    this.#objects.push(object)
    await writeObjects(server.env, this.#environment, [object])
  }

  async #erase(nodeId: string): Promise<void> {
    const stub = server.env.ARCHIVE_INDEX.getByName(this.#environment)
    await stub.erase(crypto.randomUUID(), { nodeId, untilMs: ERASED_UNTIL_MS })
    this.#erasedNodes.add(nodeId)
  }

  async #read(at: number): Promise<void> {
    const reader = this.#readers[at]
    if (reader === undefined || reader.isDone) return
    const cursor = reader.cursor === null ? '' : `&cursor=${reader.cursor}`
    const page = await readPage(server, this.#environment, `limit=${reader.limit}${cursor}`)
    reader.shown.push(...page.items.map(({ eventId }) => eventId))
    reader.cursor = page.nextCursor
    reader.isDone = page.nextCursor === null
    expect(new Set(reader.shown).size).toBe(reader.shown.length)
    if (!reader.isDone) return
    const present = this.#present()
    expect([...reader.promised].filter((id) => present.has(id) && !reader.shown.includes(id))).toEqual([])
  }

  async #readAll(): Promise<void> {
    const { items } = await readPage(server, this.#environment, 'limit=1000')
    expect(items.map(({ eventId }) => eventId).toSorted()).toEqual([...this.#present()].toSorted())
    const times = items.map(({ receivedAt }: LogItem) => Date.parse(receivedAt))
    expect(times).toEqual(times.toSorted((a, b) => b - a))
    for (const nodeId of NODES.slice(0, 3)) {
      const ofNode = await readPage(server, this.#environment, `limit=1000&node=${nodeId}`)
      expect(ofNode.items.map(({ eventId }) => eventId)).toEqual(
        items.filter((item) => item.nodeId === nodeId).map(({ eventId }) => eventId),
      )
    }
  }
}

async function holds(all: readonly Command[]): Promise<void> {
  const world = new World(await newEnvironment(server))
  for (const command of all) await world.run(command)
  await world.settle()
}

describe('readers get each line once', () => {
  it('whatever comes again, is compacted, erased, or dies', () => {
    const draft = fc.oneof(newLine, againAfter(fc.constantFrom(0, 1_000, HOUR_MS, 2 * HOUR_MS)))
    return checkServer(fc.asyncProperty(commands(draft, [redeliver, die, erase]), holds), 30)
  })

  it('also when what they were reading was deleted between two pages', () =>
    checkServer(fc.asyncProperty(commands(newLine, [redeliver, die, pass, erase]), holds), 30))
})
