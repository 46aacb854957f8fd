import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/simulator/json.ts'
import { readSchedule } from '../../src/simulator/schedule.ts'
import { applyOptions, DEFAULT_FLAGS } from '../../src/simulator/settings.ts'

const subject = { platform: 'linux', version: '5.23.1', hostname: 'web-17' } as const
const names = (config: JsonObject, flags = {}) =>
  readSchedule(config, subject, { ...DEFAULT_FLAGS, ...flags }).map((query) => query.name)
const query = (fields: JsonObject = {}) => ({ query: 'SELECT 1', interval: 60, ...fields })

describe('the schedule (specification 3.2, 3.3)', () => {
  it('takes intervals as numbers and digits, and one hour by default', () => {
    const config = { schedule: { a: query(), b: query({ interval: '600' }), c: { query: 'SELECT 1' } } }
    const intervals = readSchedule(config, subject, DEFAULT_FLAGS).map((item) => item.intervalSeconds)
    expect(intervals).toEqual([60, 600, 3600])
  })

  it('drops queries that osqueryd drops', () => {
    const schedule = {
      none: { interval: 60 },
      empty: query({ query: '' }),
      never: query({ interval: 0 }),
      rare: query({ interval: 604_801 }),
      'query.a': query(),
      my_epoch: query(),
    }
    expect(names({ schedule })).toEqual([])
  })

  it.each([
    ['linux', true],
    ['ubuntu', true],
    ['posix', true],
    ['any', true],
    ['darwin,linux', true],
    ['darwin', false],
    ['windows', false],
  ])('for platform %s on linux: %s', (platform, isRun) => {
    expect(names({ schedule: { a: query({ platform }) } })).toEqual(isRun ? ['a'] : [])
  })

  it('asks for a version number by number', () => {
    expect(names({ schedule: { a: query({ version: '5.3.0' }), b: query({ version: '5.24' }) } })).toEqual([
      'a',
    ])
  })

  it('prefixes the names of packs, but not of the pack main', () => {
    const packs = { sec: { queries: { a: query() } }, main: { queries: { b: query() } }, gone: 'file.conf' }
    expect(names({ packs })).toEqual(['pack_sec_a', 'b'])
    expect(names({ packs }, { pack_delimiter: '/' })).toEqual(['pack/sec/a', 'b'])
    expect(names({ packs: { '*': packs } })).toEqual(['pack_sec_a', 'b'])
  })

  it('leaves out a pack for another platform', () => {
    expect(names({ packs: { mac: { platform: 'darwin', queries: { a: query() } } } })).toEqual([])
  })
})

describe('options (specification 3.4)', () => {
  it('merge, stay when they are gone, and become text', () => {
    const first = applyOptions(DEFAULT_FLAGS, {
      options: { distributed_interval: 10, verbose: true, empty: '' },
    })
    const second = applyOptions(first.flags, { options: {} })
    expect(second.flags).toMatchObject({ distributed_interval: '10', verbose: 'true' })
    expect(second.flags).not.toHaveProperty('empty')
  })

  it('cannot set a flag of the command line, but its alias', () => {
    const { flags, ignored } = applyOptions(DEFAULT_FLAGS, { options: { config_refresh: 10 } })
    expect([flags.config_refresh, ignored]).toEqual(['300', ['config_refresh']])
    expect(applyOptions(DEFAULT_FLAGS, { options: { config_tls_refresh: 10 } }).flags.config_refresh).toBe(
      '10',
    )
  })
})
