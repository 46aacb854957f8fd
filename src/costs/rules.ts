/** What scheduled queries of an environment may cost, and when one is paused. Pure. */

import { isObject } from '../lib/json-value.ts'

export interface CostBudget {
  /** User and system time of one execution, at the 95th percentile; null: no limit. */
  maxExecutionMs: number | null
  /** User and system time of a node and day; null: no limit. */
  maxDailyMs: number | null
  /** Whether a configuration that goes over it is stored all the same. */
  mode: 'warn' | 'block'
}

export interface AutoPause {
  /** Paused when more than this share of the nodes that report a query has it on the denylist. */
  share: number
  /** And at least so many nodes. */
  minNodes: number
}

export interface CostRules {
  budget: CostBudget | null
  autoPause: AutoPause | null
}

export const NO_RULES: CostRules = { budget: null, autoPause: null }
/** What new environments have. A denylisted query gives no results anyway; what is paused kills no more agents. */
export const DEFAULT_RULES: CostRules = { budget: null, autoPause: { share: 0.1, minNodes: 5 } }

/** Reads what D1 holds. What a newer Worker added, and what makes no sense, is left out. */
export function readRules(text: string): CostRules {
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) return NO_RULES
  return { budget: budgetOf(value['budget']), autoPause: autoPauseOf(value['autoPause']) }
}

/** Whether a query is to be paused. */
export function isOverShare({ share, minNodes }: AutoPause, nodes: number, denied: number): boolean {
  return nodes > 0 && denied >= minNodes && denied > share * nodes
}

function budgetOf(value: unknown): CostBudget | null {
  if (!isObject(value)) return null
  const { mode } = value
  if (mode !== 'warn' && mode !== 'block') return null
  return { maxExecutionMs: limitOf(value['maxExecutionMs']), maxDailyMs: limitOf(value['maxDailyMs']), mode }
}

function limitOf(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null
}

function autoPauseOf(value: unknown): AutoPause | null {
  if (!isObject(value)) return null
  const { share, minNodes } = value
  return typeof share === 'number' && typeof minNodes === 'number' ? { share, minNodes } : null
}
