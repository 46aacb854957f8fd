/** What must hold after everything was broken, judged from what was seen. Pure. */

import type { Verdict } from '../../src/simulator/fleet/verify.ts'
import type { Sabotage } from './worker/fault.ts'

/** One row of the table. */
export interface Invariant {
  readonly name: string
  readonly isOk: boolean
  readonly detail: string
  /** Told only: it does not decide. */
  readonly isTold: boolean
}

export interface MemoryLevel {
  readonly heldBytes: number
  readonly residentBytes: number | null
}

/** What was seen. Counts, and a few words for each kind of fault. */
export interface Evidence {
  readonly replies: number
  readonly wrong: { readonly count: number; readonly examples: readonly string[] }
  readonly suffered: Readonly<Record<string, number>>
  readonly junk: { readonly sent: number; readonly mistaken: readonly string[] }
  readonly knockedOut: { readonly count: number; readonly examples: readonly string[] }
  readonly ordinals: { readonly nodes: number; readonly conflicts: readonly string[] }
  /** Of `--verify`; empty where it could not be read. */
  readonly verdicts: readonly Verdict[]
  readonly examples: readonly string[]
  readonly carves: { readonly acknowledged: number; readonly missing: readonly string[] }
  readonly whole: { readonly members: number; readonly missing: number; readonly tookMs: number }
  readonly presence: { readonly nodes: number; readonly wrong: readonly string[]; readonly tookMs: number }
  /** What the Worker's isolates held, and what the process had resident (null: cannot be told); null: not compared. */
  readonly memory: Readonly<Record<'before' | 'after', MemoryLevel>> | null
}

/**
 * By how much the Worker's isolates may hold more than before under the same load. Parts of snapshots may fill 32 MiB (design
 * 4), which more queries do. What is meant to be found - a body kept, requests that never end - comes to more: each of
 * the huge bodies alone is 100 MB, and an isolate on Cloudflare has 128 MB.
 */
export const MEMORY_GROWTH_BYTES = 32 * 1_024 * 1_024

/** Which rows a planted defect must turn. */
export const CAUGHT_BY: Readonly<Record<Sabotage, RegExp>> = {
  'ack-first': /acknowledged line/,
  'drop-line': /acknowledged line/,
  'double-line': /line is there once/,
  'empty-500': /reply .* wrongly/,
  'node-invalid-on-outage': /knocked out/,
  'reuse-ordinal': /ordinal of its own/,
}

/**
 * Agents that were cut off may keep silent on a query that came just then, and a carve whose few tries fell into an outage
 * is given up by osqueryd itself; what was acknowledged of it is judged by itself. An object that is written again
 * while D1 is away has the same lines without their host names, so some bytes less; where the index is away too and
 * the next batch is made up otherwise, its row keeps the former size. Its lines are judged one by one.
 */
const TOLD_ONLY =
  /online agent answers|file that was handed in|agent has its configuration|raw is what its index says/

export function judgeEvidence(evidence: Evidence): Invariant[] {
  const { carves, examples, junk, knockedOut, memory, ordinals, presence, replies, verdicts, whole, wrong } =
    evidence
  return [
    invariant('no reply is taken wrongly by a real agent', wrong.count, `${replies} replies`, wrong.examples),
    ...sufferings(evidence.suffered),
    invariant('no junk gets what it must not', junk.mistaken.length, `${junk.sent} pieces`, junk.mistaken),
    invariant(
      'no node is knocked out',
      knockedOut.count,
      `${ordinals.nodes} nodes had a key`,
      knockedOut.examples,
    ),
    invariant(
      'every node has an ordinal of its own',
      ordinals.conflicts.length,
      `${ordinals.nodes} nodes`,
      ordinals.conflicts,
    ),
    ...(verdicts.length === 0 ? [invariant('everything can be read back', 1, 'nothing could be', [])] : []),
    ...verdicts.map(({ detail, isOk, name }) => ({ name, isOk, detail, isTold: TOLD_ONLY.test(name) })),
    ...(verdicts.every(({ isOk }) => isOk)
      ? []
      : examples.map((detail) => ({ name: '  for example', isOk: false, detail, isTold: true }))),
    invariant(
      'every acknowledged carve is there',
      carves.missing.length,
      `${carves.acknowledged} acknowledged to the last block`,
      carves.missing,
    ),
    invariant(
      'the whole fleet is served again',
      whole.missing,
      `${whole.members} agents, after ${seconds(whole.tookMs)} s`,
      [`${whole.missing} are not`],
    ),
    invariant(
      'presence is right within two intervals',
      presence.wrong.length,
      `${presence.nodes} nodes, after ${seconds(presence.tookMs)} s`,
      presence.wrong,
    ),
    memoryInvariant(memory),
  ]
}

/** True when all rows that decide hold. */
export function allHold(invariants: readonly Invariant[]): boolean {
  return invariants.every(({ isOk, isTold }) => isOk || isTold)
}

/** Whether the rows that failed show what was planted. */
export function isCaught(sabotage: Sabotage, invariants: readonly Invariant[]): boolean {
  return invariants.some(({ isOk, isTold, name }) => !isOk && !isTold && CAUGHT_BY[sabotage].test(name))
}

function sufferings(suffered: Readonly<Record<string, number>>): Invariant[] {
  const faults = Object.entries(suffered).filter(([, times]) => times > 0)
  const told = faults.map(([what, times]) => `${what} ${times}`)
  return [invariant('no agent suffers', faults.length, Object.keys(suffered).join(', '), told)]
}

function memoryInvariant(memory: Evidence['memory']): Invariant {
  const name = 'memory is back to its level'
  if (memory === null) return { name, isOk: true, detail: 'not looked at', isTold: true }
  const { after, before } = memory
  const most = before.heldBytes + MEMORY_GROWTH_BYTES
  const resident = [before, after].map(({ residentBytes }) =>
    residentBytes === null ? '?' : mib(residentBytes),
  )
  const detail =
    `the Worker held ${mib(before.heldBytes)} MiB before, ${mib(after.heldBytes)} after, at most ${mib(most)}; ` +
    `workerd with its stand-ins ${resident.join(', ')} MiB resident`
  return { name, isOk: after.heldBytes <= most, detail, isTold: false }
}

function invariant(name: string, faults: number, detail: string, examples: readonly string[]): Invariant {
  const shown = faults === 0 ? [] : [`${faults} not`, ...examples.slice(0, 3)]
  return { name, isOk: faults === 0, detail: [detail, ...shown].join('; '), isTold: false }
}

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
