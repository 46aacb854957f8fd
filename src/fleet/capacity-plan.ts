/** What a fleet asks of the server and what Cloudflare bills for it in a month, item by item. Pure. */

import { ratesOf, usageOf, waitS, type Fleet, type Intervals } from './cost-model.ts'
import { lengthened, type WholeIntervals } from './intervals.ts'
import { MEASURED_UNITS, UNITS_MEASURED_ON } from './measured-units.ts'
import { costOf, PLAN_DOLLARS, PRICES, PRICES_READ_ON, totalCost, type Billed } from './prices.ts'
import { averageRate, busiestSecond, RATE_FORMULA } from './request-rate.ts'

export interface PlannedFleet {
  nodes: number
  intervals: WholeIntervals
  lineBytesPerDay: number
  isolates: number
  port: Fleet['port']
  retentionDays: number
}

/** Requests of nodes a second, and how soon what waits for a poll happens. */
export interface PlannedRequests {
  formula: string
  perSecond: number
  perDay: number
  /** Of the average. */
  reads: number
  configs: number
  logs: number
  /** The busiest second after a common beginning: agents left alone, and spread over the splay buckets. */
  peak: { unsplayed: number; splayed: number }
  waitSeconds: { query: Wait; configuration: Wait; logLine: Wait }
}

export interface Wait {
  median: number
  p95: number
}

export interface PlannedBill {
  pricesReadOn: string
  unitsMeasuredOn: string
  planDollars: number
  items: {
    item: string
    units: number
    included: number
    dollars: number
    price: { dollars: number; per: number; source: string }
  }[]
  totalDollars: number
}

export function plannedRequests({ nodes, intervals }: PlannedFleet): PlannedRequests {
  const each = Object.values(intervals)
  const perSecond = averageRate(nodes, each)
  const modelled = modelIntervals(intervals)
  return {
    formula: RATE_FORMULA,
    perSecond,
    perDay: Math.round(perSecond * 86_400),
    ...ratesOf({ nodes, intervals: modelled }),
    peak: { unsplayed: busiestSecond(nodes, each, false), splayed: busiestSecond(nodes, each, true) },
    waitSeconds: {
      query: waitS(modelled.distributedS),
      configuration: waitS(modelled.configS),
      logLine: waitS(modelled.logS),
    },
  }
}

/** The bill of an account that has nothing but this fleet: what the plan includes counts once for each account. */
export function plannedBill(fleet: PlannedFleet): PlannedBill {
  const usage = usageOf({ ...fleet, intervals: modelIntervals(fleet.intervals) }, MEASURED_UNITS)
  const items = (Object.keys(PRICES) as Billed[]).map((key) => {
    const { item, dollars, per, included, source } = PRICES[key]
    const units = key === 'r2GbMonths' ? usage[key] : Math.round(usage[key])
    return { item, units, included, dollars: costOf(key, usage[key]), price: { dollars, per, source } }
  })
  return {
    pricesReadOn: PRICES_READ_ON,
    unitsMeasuredOn: UNITS_MEASURED_ON,
    planDollars: PLAN_DOLLARS,
    items,
    totalDollars: totalCost(usage),
  }
}

/** The same fleet while a brownout lengthens its intervals. */
export function brownedOut(fleet: PlannedFleet, factor: number): PlannedFleet {
  const { config_tls_refresh: config, distributed_interval: read, logger_tls_period: log } = fleet.intervals
  const intervals = {
    config_tls_refresh: lengthened(config, factor),
    distributed_interval: lengthened(read, factor),
    logger_tls_period: lengthened(log, factor),
  }
  return { ...fleet, intervals }
}

function modelIntervals(intervals: WholeIntervals): Intervals {
  return {
    configS: intervals.config_tls_refresh,
    distributedS: intervals.distributed_interval,
    logS: intervals.logger_tls_period,
  }
}
