/** The small parts of a fleet: who is in it, its clock, its SQL, how it cuts JSON, its percentiles. */
import { afterEach, describe, expect, test } from 'vitest'
import { Dice } from '../../../src/simulator/fleet/dice.ts'
import { Latencies } from '../../../src/simulator/fleet/latencies.ts'
import { PROFILES } from '../../../src/simulator/fleet/profiles.ts'
import { elements, members } from '../../../src/simulator/fleet/raw-json.ts'
import { makeRoster } from '../../../src/simulator/fleet/roster.ts'
import { SharedTables } from '../../../src/simulator/fleet/shared-tables.ts'
import { Sleeper } from '../../../src/simulator/fleet/sleeper.ts'
import { SimulatedAgent } from '../../../src/simulator/agent.ts'

describe('a roster', () => {
  const clones = { ...PROFILES.office, cloneShare: 0.3 }

  test('follows from the seed alone', () => {
    expect(makeRoster(clones, 50, 's', 1_000)).toEqual(makeRoster(clones, 50, 's', 1_000))
    expect(makeRoster(clones, 50, 's', 1_000)).not.toEqual(makeRoster(clones, 50, 't', 1_000))
  })

  test('is the beginning of a larger one', () => {
    expect(makeRoster(clones, 80, 's', 1_000).slice(0, 50)).toEqual(makeRoster(clones, 50, 's', 1_000))
  })

  test('has clones of both kinds: of the machine alone, and of its disk too', () => {
    const roster = makeRoster(clones, 200, 's', 1_000)
    const copies = roster.filter(({ index, machine }) => index !== machine)
    const originals = copies.map(({ machine }) => roster[machine])
    expect(copies.length).toBeGreaterThan(30)
    for (const [i, copy] of copies.entries()) {
      expect(copy.platform).toBe(originals[i]?.platform)
      expect(copy.machineSeed).toBe(originals[i]?.machineSeed)
    }
    const ids = new Map<number, Set<string>>()
    for (const { instanceId, machine } of roster)
      ids.set(machine, (ids.get(machine) ?? new Set()).add(instanceId))
    const sizes = new Set(copies.map(({ machine }) => ids.get(machine)?.size))
    expect(sizes).toContain(1)
    expect(sizes).toContain(2)
  })

  test('of a storm starts at once', () => {
    expect(makeRoster(PROFILES.storm, 20, 's', 1_000).map(({ startsAfterMs }) => startsAfterMs)).toEqual(
      Array.from({ length: 20 }, () => 0),
    )
  })
})

test('dice hit as often as they should, and pick by share', () => {
  const dice = new Dice('x')
  const hits = Array.from({ length: 10_000 }, () => dice.hits(0.2)).filter(Boolean).length
  expect(hits).toBeGreaterThan(1_800)
  expect(hits).toBeLessThan(2_200)
  const picks = Array.from({ length: 1_000 }, () => dice.share({ a: 3, b: 1, never: 0 }))
  expect(new Set(picks)).toEqual(new Set(['a', 'b']))
  expect(picks.filter((pick) => pick === 'a').length).toBeGreaterThan(650)
})

describe('a sleeper', () => {
  const sleeper = new Sleeper()
  afterEach(() => sleeper.close())

  test('wakes in order, and rejects what is aborted', async () => {
    const woken: string[] = []
    const stop = new AbortController()
    const aborted = sleeper.sleep(60_000, stop.signal)
    const waits = [120, 0, 60].map((ms) => sleeper.sleep(ms).then(() => woken.push(String(ms))))
    stop.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    await expect(sleeper.sleep(0, stop.signal)).rejects.toThrow('enough')
    await Promise.all(waits)
    expect(woken).toEqual(['0', '60', '120'])
  })
})

describe('shared tables', () => {
  const tables = new SharedTables()
  const agent = (seed: string, isShared: boolean) =>
    new SimulatedAgent({
      url: 'http://127.0.0.1:1',
      enrollSecret: 's',
      seed,
      now: () => 1_800_000_000_000,
      ...(isShared && { createEngine: tables.createEngine }),
    })

  test('answer as an agent’s own database does, whoever asked before', () => {
    for (const sql of [
      'SELECT uuid, hostname FROM system_info',
      'SELECT total_seconds FROM uptime',
      'SELECT name, pid FROM processes ORDER BY pid',
      'SELECT s.uuid, p.name FROM system_info s, processes p WHERE p.pid = 1',
      'SELECT * FROM no_such_table',
      'SELECT broken FROM',
      'DELETE FROM users',
      "SELECT 1 AS a, NULL AS b, 1.0 AS c, 9007199254740993 AS d, sha1('x') AS e",
    ])
      for (const seed of ['one', 'two', 'one'])
        expect([sql, seed, agent(seed, true).runSql(sql)]).toEqual([
          sql,
          seed,
          agent(seed, false).runSql(sql),
        ])
  })

  test('let a query ask for a carve', () => {
    const asking = agent('one', true)
    asking.runSql("SELECT * FROM carves WHERE carve = 1 AND path = '/etc/hosts'")
    expect(asking.carves.map(({ paths }) => paths)).toEqual([['/etc/hosts']])
    expect(agent('two', true).runSql('SELECT * FROM carves')).toEqual({ ok: true, value: [] })
  })
})

test('JSON is cut, not parsed', () => {
  const text = String.raw`{"items":[{"a":"],}\"","n":12345678901234567890},[ ],"x\\"],"next" : null}`
  const items = elements(members(text).get('items') ?? '')
  expect(items).toEqual([String.raw`{"a":"],}\"","n":12345678901234567890}`, '[ ]', String.raw`"x\\"`])
  expect(members(items[0] ?? '').get('n')).toBe('12345678901234567890')
  expect(members(text).get('next')).toBe('null')
  expect(elements('[]')).toEqual([])
})

test('percentiles are right to 5 %', () => {
  const latencies = new Latencies()
  expect(latencies.percentile(0.5)).toBe(0)
  for (let ms = 1; ms <= 1_000; ms += 1) latencies.add(ms)
  for (const share of [0.5, 0.95, 0.99]) {
    const exact = share * 1_000
    expect(latencies.percentile(share)).toBeGreaterThan(exact * 0.95)
    expect(latencies.percentile(share)).toBeLessThan(exact * 1.05)
  }
  expect(latencies.percentile(1)).toBe(1_000)
})
