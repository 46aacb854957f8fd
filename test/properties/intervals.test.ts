/** Whatever a configuration says: a splay bucket's document is that configuration, with intervals where they belong. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { intervalPlaces, withIntervals } from '../../src/config/intervals.ts'
import { intervalEdits, withEdits } from '../../src/fleet/interval-edits.ts'
import { lengthened, MANAGED_OPTIONS, RECOMMENDED_INTERVALS } from '../../src/fleet/intervals.ts'
import { splayedInterval } from '../../src/fleet/splay.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { check } from './check.ts'

const seconds = fc.integer({ min: 5, max: 86_400 })
const said = fc.record(
  {
    config_tls_refresh: seconds,
    distributed_interval: fc.oneof(seconds, fc.constantFrom('60', '', null, true, -1)),
    logger_tls_period: seconds,
    verbose: fc.boolean(),
    größe: fc.string({ unit: 'grapheme' }),
  },
  { requiredKeys: [] },
)
const document = fc.record(
  {
    options: said,
    packs: fc.dictionary(fc.constantFrom('a', 'ß', '*'), fc.record({ queries: fc.constant({}) })),
    schedule: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue(), { noNullPrototype: true }),
  },
  { requiredKeys: [] },
)
const all = fc.record({
  config_tls_refresh: seconds,
  distributed_interval: seconds,
  logger_tls_period: seconds,
})
const stretch = fc.constantFrom(
  { factor: 1, everOn: false },
  { factor: 1, everOn: true },
  { factor: 4, everOn: true },
)
const bucket = fc.integer({ min: 0, max: 15 })

it('changes nothing else, and says each interval once', async () => {
  await check(
    fc.property(
      document,
      fc.option(all),
      stretch,
      bucket,
      fc.integer({ min: 0, max: 3 }),
      (wanted, intervals, { factor, everOn }, own, indent) => {
        const { text, managed } = withIntervals(JSON.stringify(wanted, null, indent), intervals)
        const bytes = utf8(text)
        const places = intervalPlaces(bytes, managed)
        if (places === null) throw new Error('it is an object')
        const made = textOf(withEdits(bytes, intervalEdits(places, { factor, everOn }), own))
        const options: Record<string, unknown> = { ...wanted.options }
        for (const option of MANAGED_OPTIONS) {
          const written = options[option]
          const base = intervals?.[option] ?? (everOn ? RECOMMENDED_INTERVALS[option] : undefined)
          const isNumber =
            written !== true && Number.isInteger(Number(written || null)) && Number(written) > 0
          if (written === undefined && base !== undefined)
            options[option] = splayedInterval(lengthened(base, factor), own)
          if (written !== undefined && isNumber && factor > 1)
            options[option] = splayedInterval(lengthened(Number(written), factor), own)
        }
        const isThere = wanted.options !== undefined || Object.keys(options).length > 0
        expect(JSON.parse(made)).toEqual(
          JSON.parse(JSON.stringify(isThere ? { ...wanted, options } : wanted)),
        )
        for (const option of MANAGED_OPTIONS) expect(made.split(`"${option}":`).length).toBeLessThanOrEqual(2)
      },
    ),
    400,
  )
})
