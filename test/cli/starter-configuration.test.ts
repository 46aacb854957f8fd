import { expect, test } from 'vitest'

import { STARTER_CONFIGURATION } from '../../src/cli/start/starter-configuration.ts'

interface ScheduledQuery {
  query: string
  interval: number
  snapshot?: boolean
}

const configuration = JSON.parse(STARTER_CONFIGURATION) as {
  schedule: Record<string, ScheduledQuery>
  decorators: { load: string[] }
}
const queries = Object.entries(configuration.schedule)

test('five queries that bring lines in the first minute, snapshots and differences', () => {
  expect(queries).toHaveLength(5)
  for (const [, { interval }] of queries) expect(interval).toBeGreaterThanOrEqual(10)
  for (const [, { interval }] of queries) expect(interval).toBeLessThanOrEqual(60)
  expect(new Set(queries.map(([, { snapshot }]) => snapshot === true))).toEqual(new Set([true, false]))
})

test('no name that an agent refuses (spec 3.2)', () => {
  for (const [name] of queries)
    expect(name).not.toMatch(/^(query\.|cache\.|config_views\.)|(epoch|counter)$|:/)
})

test('decorators name the host', () => {
  expect(configuration.decorators.load.join()).toMatch(/host_uuid.*hostname/)
})
