/** The arguments of `npm run chaos`. */

import { parseArgs } from 'node:util'
import { SCENARIOS, type ScenarioName } from './scenario-names.ts'
import { SABOTAGES, type Sabotage } from './worker/fault.ts'

export interface ChaosOptions {
  readonly minutes: number
  readonly seed: string
  readonly nodes: number
  /** For CI: at most three minutes in all. */
  readonly short: boolean
  /** All planted defects at once, each against a small fleet of its own. */
  readonly prove: boolean
  readonly sabotage: Sabotage | undefined
  readonly scenario: ScenarioName
  /** The version before; undefined: chosen. */
  readonly previous: string | undefined
  /** Where to write everything that was found; undefined: nowhere. */
  readonly json: string | undefined
}

const DEFAULT_MINUTES = 10
const DEFAULT_NODES = 150
const SHORT_MINUTES = 1
const SHORT_NODES = 60
/** Of the scenario `canary`: 1 % of them are 50, or 5. */
const CANARY_NODES = { long: 5_000, short: 500 } as const
const MAX_MINUTES = 24 * 60
const MAX_NODES = 10_000

export const USAGE = `Usage: npm run chaos -- [--minutes N] [--seed TEXT] [--nodes N] [--short] [--json FILE]
                        [--previous REF] [--scenario NAME] [--sabotage NAME] [--prove]

  --minutes N      how long things are broken, after a fleet is at load (${DEFAULT_MINUTES})
  --seed TEXT      what is broken when: same seed, same plan (7)
  --nodes N        agents in the fleet (${DEFAULT_NODES}; scenario canary: ${CANARY_NODES.long})
  --short          for CI: ${SHORT_NODES} agents, ${SHORT_MINUTES} minutes of faults, less than 3 minutes in all;
                   scenario canary: ${CANARY_NODES.short} agents
  --json FILE      everything that was found
  --previous REF   the version that is mixed with this one; else the newest one in git that differs
  --scenario NAME  ${SCENARIOS.join(', ')}
  --sabotage NAME  plants a defect; then exit code 1 is what must come:
                   ${SABOTAGES.join(', ')}
  --prove          every planted defect against a small fleet of its own, and one fleet without any`

/** `undefined`: the user asked for help. Throws where the arguments make no sense. */
export function parseChaosOptions(args: readonly string[]): ChaosOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string', default: '7' },
      nodes: { type: 'string' },
      short: { type: 'boolean', default: false },
      prove: { type: 'boolean', default: false },
      sabotage: { type: 'string' },
      scenario: { type: 'string', default: 'faults' },
      previous: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return undefined
  const { prove, seed, short } = values
  const scenario = oneOf('--scenario', SCENARIOS, values.scenario)
  if (prove && values.sabotage !== undefined) throw new Error('--prove plants every defect by itself')
  return {
    minutes: positive('--minutes', values.minutes, short ? SHORT_MINUTES : DEFAULT_MINUTES, MAX_MINUTES),
    nodes: Math.ceil(positive('--nodes', values.nodes, nodesOf(scenario, short), MAX_NODES)),
    seed,
    short,
    prove,
    sabotage: values.sabotage === undefined ? undefined : oneOf('--sabotage', SABOTAGES, values.sabotage),
    scenario,
    previous: values.previous,
    json: values.json,
  }
}

function nodesOf(scenario: ScenarioName, short: boolean): number {
  if (scenario === 'canary') return CANARY_NODES[short ? 'short' : 'long']
  return short ? SHORT_NODES : DEFAULT_NODES
}

function positive(name: string, text: string | undefined, otherwise: number, most: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!(value > 0 && value <= most)) throw new Error(`${name} is more than 0 and at most ${most}`)
  return value
}

function oneOf<T extends string>(name: string, values: readonly T[], text: string): T {
  const value = values.find((known) => known === text)
  if (value === undefined) throw new Error(`${name} is one of ${values.join(', ')}`)
  return value
}
