import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SeededChoice } from '../../src/simulator/rng.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { linesOf, Machine, type Shape } from '../support/machine.ts'
import { makeEnvironment } from '../support/operator.ts'

let server: TestServer
let clockMs = 0
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/clock-entry.ts' })
})
afterAll(() => server.close())

async function wait(seconds: number): Promise<void> {
  clockMs += seconds * 1_000
  await server.harness.fetch(`/test/clock?ms=${clockMs}`, { method: 'POST' })
}

let environments = 0
/** Machines of an environment of their own. */
async function machines(...shapes: readonly Shape[]) {
  environments += 1
  const name = `clones-${environments}`
  const { id, secret } = await makeEnvironment(server, name)
  await server.until(
    async () => (await server.agent('/api/osquery/enroll', { enroll_secret: secret })).text === 'retry',
  )
  return { name, id, all: shapes.map((shape) => new Machine(server, secret, shape)) }
}

/** Polls in an order, a minute each round, until nobody is told anything new for some rounds. */
async function settle(
  all: readonly Machine[],
  orderOf: (round: number) => readonly number[],
): Promise<number> {
  let quiet = 0
  for (let round = 0; round < 40; round += 1) {
    const before = all.map(({ enrolls }) => enrolls).join()
    for (const index of orderOf(round)) {
      await wait(20)
      await all[index]?.poll()
      // Isolates flush on the leading edge, behind the reply.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    quiet = all.map(({ enrolls }) => enrolls).join() === before ? quiet + 1 : 0
    if (round > 8 && quiet > 8) return round
  }
  throw new Error('they never settle')
}

/** Polls until each machine has a node of its own: what the consumer finds takes as long as it takes. */
async function pollUntilApart(all: readonly Machine[]): Promise<void> {
  await server.until(async () => {
    for (const machine of all) {
      await wait(20)
      await machine.poll()
    }
    const ordinals = await Promise.all(all.map((machine) => machine.ordinal()))
    return new Set(ordinals).size === all.length
  })
}

async function nodesOf(name: string) {
  const sql = `SELECT ordinal, clones, (SELECT ordinal FROM nodes AS o WHERE o.id = n.clone_of) AS cloneOf,
    clone_suspected_at IS NOT NULL AS isSuspected FROM nodes AS n
    WHERE environment_id = (SELECT id FROM environments WHERE name = ?1) AND deleted_at IS NULL ORDER BY ordinal`
  const { results } = await server.env.DB.prepare(sql).bind(name).all<Record<string, unknown>>()
  return results
}

const UUID = '4c4c4544-0042-3510-8052-b4c04f4d5231'

describe('two machines of one UUID', () => {
  it.each([1, 2, 3])(
    'become two nodes, each with a key of its own, and lose no line (order %i)',
    async (seed) => {
      const choice = new SeededChoice(`clones-${seed}`)
      const { name, all } = await machines({ uuid: UUID, instance: 'a' }, { uuid: UUID, instance: 'b' })
      await settle(all, (round) =>
        choice.pick(String(round), [
          [0, 1],
          [1, 0],
          [0, 0, 1],
          [1, 0, 1],
        ]),
      )
      const ordinals = await Promise.all(all.map((machine) => machine.ordinal()))
      expect(new Set(ordinals)).toEqual(new Set([0, 1]))
      const sent = all.flatMap(({ lines }) => lines)
      await server.until(async () => {
        const archived = await linesOf(server, name)
        return sent.every((line) => archived.has(line))
      })
      expect(await nodesOf(name)).toEqual([
        expect.objectContaining({ ordinal: 0, clones: 'split', cloneOf: null }),
        expect.objectContaining({ ordinal: 1, clones: 'split', cloneOf: 0 }),
      ])
      // Whose key was superseded was told so once; the other went on as if nothing had been.
      expect(all.map(({ invalid }) => invalid).reduce((sum, invalid) => sum + invalid)).toBe(1)
      const before = all.map(({ key }) => key)
      // From then on each enroll finds its own node.
      for (const machine of [...all, ...all.toReversed()]) await machine.enroll()
      expect(await Promise.all(all.map((machine) => machine.ordinal()))).toEqual(ordinals)
      expect(before).not.toContain(null)
    },
  )
})

describe('the split of a node', () => {
  it('comes also where presence is thrown out of memory after each poll', async () => {
    const { id, all } = await machines({ uuid: UUID, instance: 'a' }, { uuid: UUID, instance: 'b' })
    await server.until(async () => {
      for (const machine of all) {
        await wait(20)
        await machine.poll()
        await server.evict('PRESENCE', { name: `${id}/0` })
      }
      return new Set(await Promise.all(all.map((machine) => machine.ordinal()))).size === 2
    })
  })

  it.each([1, 4, 9])(
    'comes in whatever order machines poll, wait and enroll again (seed %i)',
    async (seed) => {
      const choice = new SeededChoice(`orders-${seed}`)
      const count = 2 + (seed % 3)
      // Of seeds 4 and 9 two share the osquery database, too.
      const shapes = Array.from({ length: count }, (_, index) => ({
        uuid: UUID,
        instance: `i-${seed === 1 ? index : Math.floor(index / 2)}`,
        host: `host-${index}`,
      }))
      const { name, all } = await machines(...shapes)
      // Within the same second, as after a power failure.
      await Promise.all(all.map((machine) => machine.enroll()))
      let step = 0
      await server.until(async () => {
        step += 1
        const machine = all[choice.integer(`machine ${step}`, count)]
        await wait(choice.integer(`pause ${step}`, 60))
        if (choice.integer(`restart ${step}`, 25) === 0) await machine?.enroll()
        await machine?.poll()
        return new Set(await Promise.all(all.map((one) => one.ordinal()))).size === count
      })
      await settle(all, () => all.keys().toArray())
      expect(new Set(await Promise.all(all.map((machine) => machine.ordinal()))).size).toBe(count)
      expect(await nodesOf(name)).toHaveLength(count)
      const sent = all.flatMap(({ lines }) => lines)
      await server.until(async () => {
        const archived = await linesOf(server, name)
        return sent.every((line) => archived.has(line))
      })
    },
  )
})

describe('machines that are a copy of each other, osquery database and all', () => {
  it('write under one key by turns, and are told apart by their hardware', async () => {
    const { name, all } = await machines(
      { uuid: 'u-1', instance: 'same', host: 'one' },
      { uuid: 'u-2', instance: 'same', host: 'two' },
    )
    await all[0]?.enroll()
    const [one, two] = all as [Machine, Machine]
    two.key = one.key
    await pollUntilApart(all)
    await settle(all, () => [0, 1])
    expect(await nodesOf(name)).toEqual([
      expect.objectContaining({ ordinal: 0, clones: 'split', cloneOf: null }),
      expect.objectContaining({ ordinal: 1, clones: 'split', cloneOf: 0 }),
    ])
    expect(all.map(({ invalid }) => invalid)).toEqual([1, 1])
    expect(await one.ordinal()).toBe(0)
  })

  it('are told apart by what they call themselves where the hardware is the same too', async () => {
    const shape = { uuid: 'u-1', instance: 'same' }
    const { all } = await machines({ ...shape, host: 'one' }, { ...shape, host: 'two' })
    const [one, two] = all as [Machine, Machine]
    await one.enroll()
    two.key = one.key
    await pollUntilApart(all)
    await settle(all, () => [0, 1])
    expect([await one.ordinal(), await two.ordinal()]).toEqual([0, 1])
    await two.enroll()
    await one.enroll()
    expect([await one.ordinal(), await two.ordinal()]).toEqual([0, 1])
  })

  it('both go on where nothing tells them apart: no ping-pong', async () => {
    const shape = { uuid: 'u-1', instance: 'same', host: 'same' }
    const { name, all } = await machines(shape, shape)
    const [one, two] = all as [Machine, Machine]
    await one.enroll()
    await wait(30)
    await two.enroll()
    await settle(all, () => [0, 1])
    expect((await nodesOf(name)).map(({ ordinal }) => ordinal)).toEqual([0])
    expect(all.every(({ invalid }) => invalid <= 4)).toBe(true)
  })
})

describe('what is one machine', () => {
  it.each<[string, (machine: Machine, again: Machine) => Promise<void>]>([
    [
      'an enroll that was sent twice, and whichever key it kept',
      async (machine) => {
        await machine.enroll()
        const { key } = machine
        await wait(2)
        await machine.enroll()
        machine.key = key
      },
    ],
    [
      'a database that was lost, and the old key is never seen again',
      async (machine, again) => {
        for (let round = 0; round < 3; round += 1) await machine.poll().then(() => wait(60))
        await again.enroll()
        machine.key = again.key
      },
    ],
  ])('%s, stays one node', async (_name, happen) => {
    const { name, all } = await machines({ uuid: UUID, instance: 'a' }, { uuid: UUID, instance: 'b' })
    const [machine, again] = all as [Machine, Machine]
    await happen(machine, again)
    await settle([machine], () => [0])
    expect(machine.invalid).toBe(0)
    expect(await nodesOf(name)).toEqual([expect.objectContaining({ ordinal: 0, clones: null })])
  })
})
