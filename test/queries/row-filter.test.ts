import { describe, expect, it } from 'vitest'
import { columnsOf, matchesRow } from '../../src/queries/row-filter.ts'

describe('the columns of a row', () => {
  it.each<[string, Record<string, string>]>([
    ['{"a":"1","b":"x\\u0041"}', { a: '1', b: 'xA' }],
    ['{"n":18446744073709551615,"f":1.0e2,"b":true}', { n: '18446744073709551615', f: '1.0e2', b: 'true' }],
    ['{"o":{"a":1, "b":[2]},"t":"\\"q\\"","z":null}', { o: '{"a":1, "b":[2]}', t: '"q"', z: '' }],
    ['{}', {}],
  ])('of %s are texts', (row, columns) => {
    expect(Object.fromEntries(columnsOf(row))).toEqual(columns)
  })

  it('match by their text', () => {
    const filter = { nodeId: null, column: { name: 'n', value: '7' } }
    expect(['{"n":"7"}', '{"n":7}', '{"n":"07"}', '{"m":"7"}'].map((row) => matchesRow(filter, row))).toEqual(
      [true, true, false, false],
    )
  })
})
