import { describe, expect, it } from 'vitest'
import { nameTableBytes, readNameTable } from '../../src/config/name-table.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'

function tableOf(...documents: (object | string)[]): Record<string, unknown> {
  const texts = documents.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
  return Object.fromEntries(readNameTable(nameTableBytes(texts)))
}

const query = { query: 'SELECT 1', interval: 60 }

describe('names in log lines', () => {
  it('are those of the schedule, and of packs behind the word pack', () => {
    const document = { schedule: { uptime: query }, packs: { it_ops: { queries: { os_version: query } } } }
    expect(tableOf(document)).toEqual({
      uptime: [null, 'uptime'],
      pack_it_ops_os_version: ['it_ops', 'os_version'],
    })
  })

  it('have the delimiter of the options, and a pack called main is the schedule', () => {
    const packs = { sec: { queries: { users: query } }, main: { queries: { usb: query } } }
    expect(tableOf({ options: { pack_delimiter: '/' }, packs })).toEqual({
      'pack/sec/users': ['sec', 'users'],
      usb: [null, 'usb'],
    })
  })

  it('with two meanings have none', () => {
    const packs = { a_b: { queries: { c: query, d: query } }, a: { queries: { b_c: query } } }
    expect(tableOf({ packs })).toEqual({ pack_a_b_d: ['a_b', 'd'] })
    expect(tableOf({ schedule: { pack_p_q: query } }, { packs: { p: { queries: { q: query } } } })).toEqual(
      {},
    )
  })

  it('of several documents are put together', () => {
    expect(tableOf({ schedule: { a: query } }, { schedule: { a: query, b: query } })).toEqual({
      a: [null, 'a'],
      b: [null, 'b'],
    })
  })

  it.each(['no JSON', '[]', '{"schedule":[],"packs":{"p":"/etc/p.conf","*":7}}'])(
    '%s has none',
    (document) => {
      expect(tableOf(document)).toEqual({})
    },
  )

  it('of a table of tomorrow are not known', () => {
    expect(readNameTable(utf8('{"format":2,"names":{"of":"another shape"}}')).size).toBe(0)
    expect(textOf(nameTableBytes([]))).toBe('{"format":1,"names":[]}')
  })
})
