/**
 * Cloudflare's list prices of the Paid plan in US dollars, a month. Each says which page of Cloudflare's documentation it
 * comes from. Read on 2026-11-21; from 2026-12-01 on Workers Logs are priced anew, which is not part of this.
 */

export const PRICES_READ_ON = '2026-11-21'

export interface Price {
  item: string
  /** Dollars for `per` units beyond those included. */
  dollars: number
  per: number
  /** Units a month that the plan includes. */
  included: number
  /** Page of developers.cloudflare.com. */
  source: string
}

const MILLION = 1_000_000

/** The Paid plan itself (workers/platform/pricing). */
export const PLAN_DOLLARS = 5

export const PRICES = {
  workerRequests: price('Worker requests', 0.3, MILLION, 10 * MILLION, 'workers/platform/pricing'),
  workerCpuMs: price('Worker CPU ms', 0.02, MILLION, 30 * MILLION, 'workers/platform/pricing'),
  queueOperations: price('queue operations', 0.4, MILLION, MILLION, 'queues/platform/pricing'),
  objectRequests: price('object requests', 0.15, MILLION, MILLION, 'durable-objects/platform/pricing'),
  objectGbSeconds: price('object GB-s', 12.5, MILLION, 400_000, 'durable-objects/platform/pricing'),
  objectRowsRead: price('object rows read', 0.001, MILLION, 25e9, 'durable-objects/platform/pricing'),
  objectRowsWritten: price(
    'object rows written',
    1,
    MILLION,
    50 * MILLION,
    'durable-objects/platform/pricing',
  ),
  d1RowsRead: price('D1 rows read', 0.001, MILLION, 25e9, 'd1/platform/pricing'),
  d1RowsWritten: price('D1 rows written', 1, MILLION, 50 * MILLION, 'd1/platform/pricing'),
  r2ClassA: price('R2 class A', 4.5, MILLION, MILLION, 'r2/pricing'),
  r2ClassB: price('R2 class B', 0.36, MILLION, 10 * MILLION, 'r2/pricing'),
  r2GbMonths: price('R2 GB stored', 0.015, 1, 10, 'r2/pricing'),
} as const satisfies Record<string, Price>

export type Billed = keyof typeof PRICES
/** Units of one month. */
export type Usage = Record<Billed, number>

/** An object is billed for 128 MB while it is at work, whatever it uses (durable-objects/platform/pricing). */
export const OBJECT_GB = 0.128
export const MONTH_SECONDS = 30 * 86_400

function price(item: string, dollars: number, per: number, included: number, source: string): Price {
  return { item, dollars, per, included, source }
}

export function noUsage(): Usage {
  return Object.fromEntries(Object.keys(PRICES).map((key) => [key, 0])) as Usage
}

/** What one item costs in a month. Fractions of a million count as such; Cloudflare rounds objects' up. */
export function costOf(key: Billed, units: number): number {
  const { dollars, per, included } = PRICES[key]
  return (Math.max(0, units - included) / per) * dollars
}

/** Every item's dollars a month, without the plan. */
export function costs(usage: Usage): Record<Billed, number> {
  return Object.fromEntries(
    Object.entries(usage).map(([key, units]) => [key, costOf(key as Billed, units)]),
  ) as Record<Billed, number>
}

/** Dollars a month, the plan included. */
export function totalCost(usage: Usage): number {
  return Object.values(costs(usage)).reduce((total, dollars) => total + dollars, PLAN_DOLLARS)
}

/** The same without what the plan includes: what one more of it costs. */
export function marginalCost(usage: Partial<Usage>): number {
  let total = 0
  for (const [key, units] of Object.entries(usage)) {
    const { dollars, per } = PRICES[key as Billed]
    total += (units / per) * dollars
  }
  return total
}
