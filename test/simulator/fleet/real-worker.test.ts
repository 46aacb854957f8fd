/** A small fleet on the real Worker: everything that was acknowledged is found, and what is tampered with is noticed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeEnvironment } from '../../../src/simulator/fleet/environment.ts'
import type { Fleet } from '../../../src/simulator/fleet/fleet.ts'
import { startFleet } from '../../../src/simulator/fleet/fleet.ts'
import { OperatorClient } from '../../../src/simulator/fleet/operator-client.ts'
import { PROFILES, configurationOf } from '../../../src/simulator/fleet/profiles.ts'
import { elements, members } from '../../../src/simulator/fleet/raw-json.ts'
import type { VerifyOptions } from '../../../src/simulator/fleet/verify.ts'
import { subjectOf, verify } from '../../../src/simulator/fleet/verify.ts'
import type { TestServer } from '../../support/harness.ts'
import { OPERATOR_TOKEN, startServer } from '../../support/harness.ts'

const TEMPO = 30
const PROFILE = {
  ...PROFILES.servers,
  lostReplyChance: 0.05,
  cloneShare: 0.1,
  skewedShare: 0.1,
  crashChance: 0.02,
}

let server: TestServer
let client: OperatorClient
let fleet: Fleet
let options: VerifyOptions

beforeAll(async () => {
  server = await startServer()
  const { url } = await server.harness.listen()
  const base = url.href.replace(/\/$/, '')
  client = new OperatorClient({ url: base, token: OPERATOR_TOKEN })
  const environment = await makeEnvironment(client, 'sim', configurationOf(PROFILE, TEMPO))
  fleet = startFleet({
    url: base,
    enrollSecret: environment.enrollSecret,
    profile: PROFILE,
    nodes: 20,
    seed: 'real',
    runMs: 8_000,
    spreadMs: 500,
    tempo: TEMPO,
    keepAlive: true,
    queries: { client, environment: environment.id, everyMs: 2_500 },
  })
  await fleet.ended
  options = {
    ...subjectOf(fleet),
    client,
    environment: environment.id,
    isShared: false,
    sinceMs: Date.now(),
    patienceMs: 20_000,
  }
  // Lines are on their way for some seconds.
  await verify(options)
}, 60_000)
afterAll(async () => {
  client.close()
  await server.close()
})

/** Verdicts that fail when each page of the lists whose path ends so is changed. */
async function faults(pathEnd: RegExp, change: (items: string[]) => string[]): Promise<string[]> {
  const tampered: VerifyOptions['client'] = {
    json: (...args) => client.json(...args),
    items: (path) => client.items(path),
    pages: async function* pages(path) {
      for await (const page of client.pages(path)) {
        const items = elements(members(page).get('items') ?? '[]')
        yield `{"items":[${(pathEnd.test(path) ? change(items) : items).join(',')}]}`
      }
    },
  }
  const { verdicts } = await verify({ ...options, client: tampered, patienceMs: 0 })
  return verdicts.filter(({ isOk }) => !isOk).map(({ name }) => name)
}

test('the Worker loses nothing', async () => {
  expect(fleet.statistics.counters.lines.acknowledged).toBeGreaterThan(300)
  expect(fleet.answers.queries.length).toBeGreaterThanOrEqual(2)
  expect(fleet.liveQueries?.failures).toEqual([])
  const { examples, verdicts } = await verify(options)
  expect(examples).toEqual([])
  expect(verdicts.filter(({ isOk }) => !isOk)).toEqual([])
  expect(verdicts).toHaveLength(14)
})

describe('the verifier notices', () => {
  test('a line that is withheld', async () =>
    expect(await faults(/\/logs$/, (items) => items.slice(1))).toEqual(['every acknowledged line is there']))
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
})
