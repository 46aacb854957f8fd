import { describe, expect, it } from 'vitest'
import { fail, ok } from '../../src/lib/result.ts'
import { acceptWork, answerQuery, writePayload } from '../../src/simulator/distributed.ts'

const runSql = (sql: string) => {
  if (sql === 'yes') return ok([{ '1': '1' }])
  return sql === 'no' ? ok([]) : fail(`no such table: ${sql}`)
}
const ids = (work: { queries: ReadonlyMap<string, string> }) => [...work.queries.keys()]

describe('a distributed read (specification 2.4, 5.2)', () => {
  it('runs an id without discovery, and one whose discovery gives a row', () => {
    const work = acceptWork({ queries: { a: 'x', b: 'y' }, discovery: { b: 'yes', _always: 'yes' } }, runSql)
    expect(ids(work)).toEqual(['a', 'b'])
  })

  it('skips an id whose discovery gives nothing, and reports nothing', () => {
    const work = acceptWork({ queries: { a: 'x', b: 'y' }, discovery: { a: 'no' } }, runSql)
    expect(ids(work)).toEqual(['b'])
    expect(work.skipped).toEqual(['a'])
  })

  it('drops everything, accelerate too, when a discovery query is wrong SQL', () => {
    const reply = { queries: { a: 'x', b: 'y' }, discovery: { a: 'yes', b: 'registry' }, accelerate: 60 }
    const work = acceptWork(reply, runSql)
    expect(ids(work)).toEqual([])
    expect(work.accelerateSeconds).toBeUndefined()
    expect(work.problem).toContain('no such table: registry')
  })

  it.each([null, 7, '', {}])('stops at a query that is %j: earlier ones stay, later ones are lost', (bad) => {
    const work = acceptWork({ queries: { a: 'x', b: bad, c: 'z' }, accelerate: 60 }, runSql)
    expect(ids(work)).toEqual(['a'])
    expect(work.accelerateSeconds).toBeUndefined()
  })

  it('has no use for queries as an array', () => {
    expect(ids(acceptWork({ queries: ['SELECT 1'] }, runSql))).toEqual([])
  })

  it('takes accelerate as an integer alone', () => {
    expect(acceptWork({ queries: {}, accelerate: 60 }, runSql).accelerateSeconds).toBe(60)
    expect(acceptWork({ accelerate: '60' }, runSql).accelerateSeconds).toBeUndefined()
    expect(acceptWork({ accelerate: 1.5 }, runSql).accelerateSeconds).toBeUndefined()
    expect(acceptWork({ accelerate: 2 ** 31 }, runSql).accelerateSeconds).toBeUndefined()
  })
})

describe('a distributed write (specification 2.5)', () => {
  it('names every id in all four maps', () => {
    const payload = writePayload(
      new Map([
        ['good', answerQuery('yes', runSql)],
        ['bad', answerQuery('nope', runSql)],
      ]),
    )
    expect(payload).toMatchObject({
      queries: { good: [{ '1': '1' }], bad: [] },
      statuses: { good: 0, bad: 1 },
      messages: { good: '', bad: 'no such table: nope' },
    })
    const stats = {
      wall_time_ms: expect.any(Number),
      user_time: expect.any(Number),
      system_time: 0,
      memory: 0,
    }
    expect(payload.stats).toEqual({ good: stats, bad: stats })
  })
})
