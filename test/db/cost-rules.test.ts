import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeDue, takeDueEnvironment } from '../../src/db/cost-rules.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

it('an environment that cannot be looked at keeps no other from its turn', async () => {
  const { DB } = server.env
  created(await server.operator('POST', '/environments', { name: 'other' }), 201)
  await DB.prepare('UPDATE environments SET costs_looked_at = 0').run()
  const taken = new Set<string>()
  for (let minute = 1; minute <= 100 && taken.size < 2; minute += 1) {
    const due = await takeDueEnvironment(DB, minute)
    if (due === null) throw new Error('one is due')
    taken.add(due.id)
    await makeDue(DB, due.id)
  }
  expect(taken.size).toBe(2)
})
