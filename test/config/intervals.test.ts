import { describe, expect, it } from 'vitest'
import {
  intervalPlaces,
  intervalsUnder,
  overruledIntervals,
  readIntervals,
  textOfIntervals,
  withIntervals,
} from '../../src/config/intervals.ts'
import { mergeLayers } from '../../src/config/merge.ts'
import { CLEARING, INTERVALS, servedDocument } from '../../src/config/served.ts'
import { intervalEdits, NO_STRETCH, withEdits } from '../../src/fleet/interval-edits.ts'
import { RECOMMENDED_INTERVALS } from '../../src/fleet/intervals.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'

const BASE = { config_tls_refresh: 300, distributed_interval: 60, logger_tls_period: 300 }

/** What the edge makes of a document for one bucket. */
function bucketOf(
  text: string,
  bucket: number,
  stretch = NO_STRETCH,
  intervals: typeof BASE | null = BASE,
): string {
  const { text: served, managed } = withIntervals(text, intervals)
  const bytes = utf8(served)
  const places = intervalPlaces(bytes, managed)
  if (places === null) throw new Error('it is an object')
  return textOf(withEdits(bytes, intervalEdits(places, stretch), bucket))
}

describe('managed intervals of a document', () => {
  it.each(['{}', '{"schedule":{}}', '{"options":{}}', '{"options":{"verbose":true},"größe":{"x":[1]}}'])(
    'are in %s of each bucket, spread by a tenth, and nothing else changes',
    (text) => {
      const before = JSON.parse(text) as { options?: object }
      for (const [bucket, distributed] of [
        [0, 54],
        [15, 66],
      ] as const) {
        const after = JSON.parse(bucketOf(text, bucket)) as object
        const options = {
          config_tls_refresh: bucket === 0 ? 270 : 330,
          distributed_interval: distributed,
          logger_tls_period: bucket === 0 ? 270 : 330,
        }
        expect(after).toEqual({ ...before, options: { ...before.options, ...options } })
      }
    },
  )

  it('are the same bytes for the same bucket (R7)', () => {
    expect(bucketOf('{"schedule":{}}', 7)).toBe(bucketOf('{"schedule":{}}', 7))
  })

  it('leave alone what operators wrote, which is not spread', () => {
    const text = '{"options":{"distributed_interval":"10"},"packs":{"p":{"options":{"logger_tls_period":5}}}}'
    expect(JSON.parse(bucketOf(text, 0))).toEqual({
      options: { distributed_interval: '10', config_tls_refresh: 270 },
      packs: { p: { options: { logger_tls_period: 5 } } },
    })
  })

  it('are not in what is no object', () => {
    expect(withIntervals('[]', BASE)).toEqual({ text: '[]', managed: [] })
    expect(withIntervals('{"a":', BASE)).toEqual({ text: '{"a":', managed: [] })
    expect(intervalPlaces(utf8('17'), [])).toBeNull()
  })

  it('take the last of two members of one name, as agents do', () => {
    const places = intervalPlaces(utf8('{"options":{"distributed_interval":1,"distributed_interval":2}}'), [])
    expect(places?.said.map(({ seconds }) => seconds)).toEqual([2])
  })
})

describe('a brownout', () => {
  const on = { factor: 4, everOn: true }
  const over = { factor: 1, everOn: true }

  it('makes managed intervals longer, and those that operators wrote', () => {
    const text = '{"options":{"distributed_interval":10}}'
    expect(JSON.parse(bucketOf(text, 15, on))).toEqual({
      options: { distributed_interval: 44, config_tls_refresh: 1_320, logger_tls_period: 1_320 },
    })
  })

  it('tells the recommended ones, longer, where nobody says any, and keeps telling them afterwards', () => {
    for (const text of ['{}', '{"options":{}}', '{ "schedule" : {} }', '{"options":{"verbose":true}}']) {
      const during = JSON.parse(bucketOf(text, 0, on, null)) as { options: object }
      expect(during.options).toMatchObject({ config_tls_refresh: 1_080, distributed_interval: 216 })
      const after = JSON.parse(bucketOf(text, 0, over, null)) as { options: object }
      expect(after.options).toMatchObject({ config_tls_refresh: 270, distributed_interval: 54 })
    }
  })

  it('that never was changes nothing of a document that nobody manages', () => {
    const text = '{ "options" : { "distributed_interval" : 10 } }\n'
    expect(bucketOf(text, 3, NO_STRETCH, null)).toBe(text)
  })

  it('leaves alone what is no number, and does not say it twice', () => {
    const text =
      '{"options":{"config_tls_refresh":0,"distributed_interval":null,"logger_tls_period":"often"}}'
    expect(bucketOf(text, 0, on)).toBe(text)
  })
})

describe('layers', () => {
  const managed = {
    base: BASE,
    layers: { a: { distributed_interval: 30 }, b: { distributed_interval: 600 } },
  }

  it('say some over the base; the last one wins', () => {
    expect(intervalsUnder(managed, [])).toEqual(BASE)
    expect(intervalsUnder(managed, ['a'])).toEqual({ ...BASE, distributed_interval: 30 })
    expect(intervalsUnder(managed, ['a', 'b', 'c'])).toEqual({ ...BASE, distributed_interval: 600 })
    expect(intervalsUnder(managed, ['toString'])).toEqual(BASE)
    expect(intervalsUnder({ base: null, layers: managed.layers }, ['a'])).toBeNull()
  })

  it('come back from D1 as they went', () => {
    expect(readIntervals(textOfIntervals(managed))).toEqual(managed)
    expect(readIntervals('{}')).toEqual({ base: null, layers: {} })
  })

  it.each([
    '{"format":2,"base":{"config_tls_refresh":300,"distributed_interval":60,"logger_tls_period":300}}',
    '{"format":1,"base":{"config_tls_refresh":300,"distributed_interval":60}}',
    '{"format":1,"base":{"config_tls_refresh":300,"distributed_interval":60,"logger_tls_period":0}}',
    '[]',
  ])('%s is nothing that this Worker manages', (text) => {
    expect(readIntervals(text).base).toBeNull()
  })
})

describe('the served document', () => {
  const held = ['/options/config_tls_refresh', '/options/distributed_interval', '/options/logger_tls_period']

  it('takes nothing back that is managed, and says whose the places are', () => {
    const served = servedDocument(mergeLayers('{}', []), { held, intervals: RECOMMENDED_INTERVALS })
    expect(JSON.parse(served.text)).toEqual({ options: RECOMMENDED_INTERVALS })
    expect(served.origins).toEqual(held.map((pointer) => ({ pointer, layer: INTERVALS })))
    expect(served.lasting).toEqual([])
  })

  it('takes back what was managed: the defaults are sent, and the refresh lasts until restart', () => {
    const served = servedDocument(mergeLayers('{}', []), { held, intervals: null })
    expect(JSON.parse(served.text)).toEqual({ options: { distributed_interval: 60, logger_tls_period: 4 } })
    expect(served.lasting.map(({ pointer }) => pointer)).toEqual(['/options/config_tls_refresh'])
  })

  it('says of one place who decided it: what a layer took away is managed', () => {
    const layer = { name: 'web', document: '{"options":{"distributed_interval":null}}' }
    const merged = mergeLayers('{"options":{"distributed_interval":9}}', [layer])
    const managed = servedDocument(merged, { held, intervals: RECOMMENDED_INTERVALS }).origins
    expect(managed.toSorted((a, b) => (a.pointer < b.pointer ? -1 : 1))).toEqual(
      held.map((pointer) => ({ pointer, layer: INTERVALS })),
    )
    const pointer = '/options/distributed_interval'
    expect(servedDocument(merged, { held: [pointer] }).origins).toEqual([{ pointer, layer: CLEARING }])
  })
})

it('tells of the documents that win over what is managed', () => {
  const layers = [{ name: 'web', match: { tag: 'web' }, document: '{"options":{"logger_tls_period":9}}' }]
  expect(overruledIntervals({ document: '{"options":{"distributed_interval":10}}', layers })).toMatchObject([
    {
      pointer: '/options/distributed_interval',
      detail: expect.stringContaining('the base says 10') as string,
    },
    {
      pointer: '/layers/web/options/logger_tls_period',
      detail: expect.stringContaining('layer web says 9') as string,
    },
  ])
  const away = [{ name: 'web', match: { tag: 'web' }, document: '{"options":{"logger_tls_period":null}}' }]
  expect(overruledIntervals({ document: '{}', layers: away })).toEqual([])
})
