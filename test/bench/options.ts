/** The arguments of `npm run bench`. */

import { parseArgs } from 'node:util'

export const BENCHES = ['floor', 'meter', 'slope', 'storm', 'logs', 'live', 'config'] as const
export type BenchName = (typeof BENCHES)[number]

export interface BenchOptions {
  /** Which to run, in this order; all where none is named. */
  benches: readonly BenchName[]
  /** Less than 30 s each: for CI. */
  short: boolean
  /** Where to write everything that was measured; null: nowhere. */
  json: string | null
  /** Isolates of the Worker that share the traffic (meter). */
  isolates: readonly number[]
}

export const USAGE = `Usage: npm run bench -- [floor|meter|slope|storm|logs|live|config] [--short] [--json FILE] [--isolates N]

  floor        requests/s and CPU time of each agent route against an empty handler
  meter        what Cloudflare would bill, by fleet size, log volume and intervals
  slope        cost and memory for each node, from 100 to 10,000 nodes
  storm        everybody enrolls at once, is told to enroll anew, polls in one wave
  logs         what lines cost on their way, with every fault on and off: none is lost
  live         what a large fleet's live queries cost, how soon nodes answer, how operators read very many rows
  config       how fast documents go out, how soon a change is everywhere, what a fleet that enrolls at once does
  --short      less than 30 s each
  --json FILE  everything that was measured
  --isolates N how many isolates share the traffic (meter; 1, 100 and 1000 one after the other)`

/** `undefined`: the user asked for help. Throws where the arguments make no sense. */
export function parseBenchOptions(args: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      short: { type: 'boolean', default: false },
      json: { type: 'string' },
      isolates: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const unknown = positionals.filter((name) => !isBenchName(name))
  if (unknown.length > 0) throw new Error(`unknown benchmark ${unknown.join(', ')}`)
  const benches = positionals.filter(isBenchName)
  return {
    benches: benches.length === 0 ? BENCHES : benches,
    short: values.short,
    json: values.json ?? null,
    isolates: values.isolates === undefined ? [1, 100, 1_000] : [isolateCount(values.isolates)],
  }
}

function isBenchName(name: string): name is BenchName {
  return BENCHES.some((known) => known === name)
}

function isolateCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 10_000) throw new Error('--isolates is 1 to 10000')
  return count
}
