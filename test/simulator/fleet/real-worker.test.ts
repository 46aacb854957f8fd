/** A small fleet on the real Worker: everything that was acknowledged is found, and what is tampered with is noticed. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lookOften, makeEnvironment } from '../../../src/simulator/fleet/environment.ts'
import type { Fleet } from '../../../src/simulator/fleet/fleet.ts'
import { startFleet } from '../../../src/simulator/fleet/fleet.ts'
import { OperatorClient } from '../../../src/simulator/fleet/operator-client.ts'
import { PROFILES, configurationOf } from '../../../src/simulator/fleet/profiles.ts'
import { elements, members } from '../../../src/simulator/fleet/raw-json.ts'
import type { Verification, VerifyOptions } from '../../../src/simulator/fleet/verify.ts'
import { subjectOf, verify } from '../../../src/simulator/fleet/verify.ts'
import type { TestServer } from '../../support/harness.ts'
import { OPERATOR_TOKEN, startServer } from '../../support/harness.ts'
import type { Reader } from './recording.ts'
import { makeRecording } from './recording.ts'

const TEMPO = 30
const NODES = 20
const PROFILE = {
  ...PROFILES.servers,
  lostReplyChance: 0.05,
  cloneShare: 0.1,
  skewedShare: 0.1,
  crashChance: 0.02,
  uploadCrashChance: 0.1,
  lostBlockChance: 0.1,
  travelShare: 0.25,
}

let server: TestServer
let client: OperatorClient
let fleet: Fleet
/** Of the server itself; the others read what it said then: agents' last requests may still be on their way. */
let verification: Verification
/** What a verification needs that reads the recording. */
let options: VerifyOptions
let player: Reader
const enough = new AbortController()

beforeAll(async () => {
  server = await startServer()
  const { url } = await server.harness.listen()
  const base = url.href.replace(/\/$/, '')
  client = new OperatorClient({ url: base, token: OPERATOR_TOKEN })
  const environment = await makeEnvironment(client, 'sim', configurationOf(PROFILE, TEMPO))
  await lookOften(client, environment.id, TEMPO)
  fleet = startFleet({
    url: base,
    enrollSecret: environment.enrollSecret,
    profile: PROFILE,
    nodes: NODES,
    seed: 'real',
    runMs: 45_000,
    stop: enough.signal,
    spreadMs: 500,
    tempo: TEMPO,
    keepAlive: true,
    queries: { client, environment: environment.id, everyMs: 2_500 },
    carves: { client, environment: environment.id, everyMs: 1_500 },
    deletions: { client, environment: environment.id, everyMs: 2_500 },
    configurations: { client, environment: environment.id, everyMs: 3_000 },
  })
  const watching = setInterval(() => {
    if (hasSeenEverything()) enough.abort()
  }, 200)
  await fleet.ended
  clearInterval(watching)
  const recording = makeRecording(client)
  player = recording.player
  options = {
    ...subjectOf(fleet),
    client: recording.recorder,
    inventory: { members: fleet.members, url: base },
    environment: environment.id,
    isShared: false,
    sinceMs: Date.now(),
    // Lines are on their way for some seconds.
    patienceMs: 30_000,
  }
  verification = await verify(options)
  // The fleet's time, then that of reading, several times over on a busy machine.
}, 300_000)
afterAll(async () => {
  client.close()
  await server.close()
})

/** The fleet runs until each thing has happened at least once, however busy the machine is. */
function hasSeenEverything(): boolean {
  const { counters, deleted, killedInUpload, travels } = fleet.statistics
  const handedIn = [...fleet.carves.packed.values()].filter(
    (carve) =>
      carve.record.status === 'SUCCESS' && carve.record.problem === '' && !fleet.carves.isExcused(carve),
  )
  return (
    killedInUpload > 0 &&
    travels > 0 &&
    // The fleet's operator deleted nodes: their agents were told, and enrolled anew.
    deleted > 0 &&
    counters.nodeInvalid > 0 &&
    counters.calls.enroll.ok > NODES &&
    (fleet.configurations?.count ?? 0) > 0 &&
    fleet.answers.queries.filter(({ latencies }) => latencies.count > 0).length > 1 &&
    handedIn.length > 0 &&
    counters.lines.acknowledged > 300
  )
}

/** Verdicts that fail when the admin route answers otherwise. */
async function faultsWith(changed: Partial<Reader>): Promise<string[]> {
  const tampered = { ...player, ...changed }
  const { verdicts } = await verify({ ...options, client: tampered, patienceMs: 0 })
  return verdicts.filter(({ isOk }) => !isOk).map(({ name }) => name)
}

/** ... when each page of the lists whose path ends so is changed. */
async function faults(pathEnd: RegExp, change: (items: string[]) => string[]): Promise<string[]> {
  return faultsWith({
    pages: async function* pages(path) {
      for await (const page of player.pages(path)) {
        const items = elements(members(page).get('items') ?? '[]')
        yield `{"items":[${(pathEnd.test(path) ? change(items) : items).join(',')}]}`
      }
    },
  })
}

/** ... when each archive object has other lines. */
function faultsOfRaw(change: (lines: string[]) => string[]): Promise<string[]> {
  return faultsWith({
    bytes: async (path) => {
      const bytes = await player.bytes(path)
      if (!path.includes('/archive/objects/') || !bytes) return bytes
      const lines = gunzipSync(bytes).toString().trimEnd().split('\n')
      return gzipSync(change(lines).join('\n'))
    },
  })
}

test('everything that may happen to an agent did', () => {
  expect(hasSeenEverything()).toBe(true)
})

test('the Worker loses nothing', async () => {
  expect(fleet.statistics.counters.lines.acknowledged).toBeGreaterThan(300)
  expect(fleet.answers.queries.length).toBeGreaterThanOrEqual(2)
  const { configurations, deletions, liveCarves, liveQueries } = fleet
  for (const deed of [configurations, deletions, liveCarves, liveQueries]) expect(deed?.failures).toEqual([])
  const { examples, verdicts } = verification
  expect(examples).toEqual([])
  expect(verdicts.filter(({ isOk }) => !isOk)).toEqual([])
  expect(verdicts).toHaveLength(23)
})

describe('the verifier notices', () => {
  test('a line that is withheld', async () =>
    expect(await faults(/\/logs$/, (items) => items.slice(1))).toEqual([
      'every acknowledged line is there',
      'no event is unexplained',
    ]))
  test('a line that is shown twice', async () =>
    expect(await faults(/\/logs$/, (items) => [...items.slice(0, 1), ...items])).toEqual([
      'every line is there once',
    ]))
  test('a line that nobody sent', async () =>
    expect(
      await faults(/\/logs$/, ([first = '', ...rest]) => [
        first,
        first.replace(/"unixTime":"?\d+"?/, '"unixTime":1'),
        ...rest,
      ]),
    ).toEqual(['no line is unexplained']))
  test('an answer that is withheld', async () =>
    expect(await faults(/\/answers$/, (items) => items.slice(1))).toContain('every accepted answer is there'))
  test('an answer that is shown twice', async () =>
    expect(await faults(/\/answers$/, (items) => [...items.slice(0, 1), ...items])).toEqual([
      'every answer is there once',
    ]))
  test('a row that is withheld', async () =>
    expect(await faults(/\/results$/, (items) => items.slice(1))).toEqual(['every answer is what was sent']))
  test('a file of which a bit is another', async () => {
    const bytes = async (path: string) => {
      const found = await player.bytes(path)
      if (path.endsWith('/archive') && found) found[700] = (found[700] ?? 0) ^ 1
      return found
    }
    expect(await faultsWith({ bytes })).toEqual(['every file is what was handed in'])
  })
  test('a file that is withheld', async () => {
    const items = async function* items<T>(path: string): AsyncGenerator<T> {
      if (!path.endsWith('/carves')) yield* player.items<T>(path)
    }
    expect(await faultsWith({ items })).toEqual(['every file that was handed in is there'])
  })
  test('a line that is not in raw', async () =>
    expect(await faultsOfRaw((lines) => lines.slice(1))).toEqual([
      'every acknowledged line is in raw',
      'no event is unexplained',
      'raw is what its index says',
    ]))
  test('a line in raw that nobody sent', async () =>
    expect(
      await faultsOfRaw(([first = '', ...rest]) => [
        first,
        first.replace(/"unixTime":"?\d+"?/, '"unixTime":1'),
        ...rest,
      ]),
    ).toContain('no line in raw is unexplained'))
  test('but not a line that is in raw twice', async () =>
    expect(await faultsOfRaw(([first = '', ...rest]) => [first, first, ...rest])).toEqual([
      'raw is what its index says',
    ]))
  test('a node of nobody', async () => {
    const items = async function* items<T>(path: string): AsyncGenerator<T> {
      yield* player.items<T>(path)
      if (path.endsWith('/nodes')) yield { id: 'stranger', hostname: 'stranger' } as T
    }
    expect(await faultsWith({ items })).toContain('no node is unexplained')
  })
  test('something in quarantine', async () => {
    const items = async function* items<T>(path: string): AsyncGenerator<T> {
      yield* player.items<T>(path)
      if (path.endsWith('/quarantine')) yield { nodeId: 'n', reason: 'malformed' } as T
    }
    expect(await faultsWith({ items })).toEqual(['nothing is in quarantine'])
  })
})
