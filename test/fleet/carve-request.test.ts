import { describe, expect, it } from 'vitest'
import { archiveFileName } from '../../src/fleet/carve-file-name.ts'
import { carveSql, carveStatus, pathFault, type CarveState } from '../../src/fleet/carve-request.ts'

describe('the SQL of a carve', () => {
  it.each([
    ['/etc/hosts', "path = '/etc/hosts'"],
    ["/o'neil/it''s", "path = '/o''neil/it''''s'"],
    ["'; DROP TABLE x; --", "path = '''; DROP TABLE x; --'"],
    ['/tmp/%%', "path LIKE '/tmp/%%'"],
    [String.raw`C:\Users\%\a.txt`, String.raw`path LIKE 'C:\Users\%\a.txt'`],
    ['/with_underscore', "path = '/with_underscore'"],
  ])('for %s', (path, condition) => {
    expect(carveSql(path)).toBe(`SELECT * FROM carves WHERE carve = 1 AND ${condition}`)
  })

  it.each(['', ' \t', '/a,b', '/a\0', `/${'x'.repeat(4_096)}`])('is not made for %j', (path) => {
    expect(pathFault(path)).not.toBeNull()
  })

  it.each(['/etc/hosts', ' /a b', `/${'x'.repeat(4_095)}`])('is made for %j', (path) => {
    expect(pathFault(path)).toBeNull()
  })
})

describe('the status of a request', () => {
  const open = { status: 'open', expiresAtMs: 1_000, erasedAtMs: null }
  const carve: CarveState = { status: 'requested', message: null, updatedAtMs: 0, queryId: 'q', query: open }
  const DAY_MS = 24 * 3_600_000

  it.each<[string, Partial<CarveState>, number, string]>([
    ['waits while its query is open', {}, 999, 'requested'],
    ['has expired with its query', {}, 1_000, 'expired'],
    ['has expired when its query was stopped', { query: { ...open, status: 'stopped' } }, 0, 'expired'],
    ['has expired when its query was erased', { query: { ...open, erasedAtMs: 1 } }, 0, 'expired'],
    ['has expired when its query is forgotten', { query: null }, 0, 'expired'],
    [
      'waits when its query is complete: the answer is on its way',
      { query: { ...open, status: 'complete' } },
      0,
      'requested',
    ],
    [
      'is promised, whatever becomes of the query',
      { status: 'scheduled', query: null },
      DAY_MS - 1,
      'scheduled',
    ],
    ['has expired when nothing came for a day', { status: 'scheduled' }, DAY_MS, 'expired'],
    ['is what its session says', { status: 'receiving', query: null }, 9 * DAY_MS, 'receiving'],
    ['stays complete', { status: 'complete', query: null }, 9 * DAY_MS, 'complete'],
  ])('%s', (_what, change, nowMs, status) => {
    expect(carveStatus({ ...carve, ...change }, nowMs).status).toBe(status)
  })
})

describe('the name of an archive', () => {
  it.each([
    ['web-17.example.org', 'f0e1d2c3', false, 'web-17.example.org-f0e1d2c3.tar'],
    ['web-17', 'f0e1d2c3', true, 'web-17-f0e1d2c3.tar.zst'],
    ['../../etc', 'x/../y', false, 'etc-x_.._y.tar'],
    ['a"b\r\nc;d', 'é', false, 'a_b_c_d-carve.tar'],
    ['', '...', false, 'node-carve.tar'],
  ])('of %j and %j', (hostname, carveId, isZstd, name) => {
    expect(archiveFileName(hostname, carveId, isZstd)).toBe(name)
  })

  it('fits into any file system', () => {
    expect(archiveFileName('h'.repeat(300), 'c'.repeat(300), true).length).toBeLessThan(255)
  })
})
