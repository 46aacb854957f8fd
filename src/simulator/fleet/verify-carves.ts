/** Compares the files that the server has with those that machines handed in, byte for byte by SHA-256. */
import { createHash } from 'node:crypto'
import type { CarveRecord } from '../carve.ts'
import type { CarveLedger } from './carve-ledger.ts'

/** A carve as the admin route shows it. */
export interface ShownCarve {
  readonly id: string
  readonly carveId: string | null
  readonly queryId: string | null
  readonly status: string
  readonly sha256: string | null
}

export interface CarveFindings {
  readonly asked: number
  /** Handed in, as the agents have it. */
  readonly handedIn: number
  /** Handed in, and not complete at the server. */
  missing: number
  /** Complete with other bytes, or with another SHA-256 in the index. */
  changed: number
  /** Complete carves that no machine packed. */
  unexplained: number
  /** Given up by the agent because of what the server said; what was lost on its way does not count. */
  readonly refused: number
  /** Online machines that were asked and have not handed in anything. */
  readonly silent: number
}

export interface CarveOptions {
  readonly ledger: CarveLedger
  readonly carves: AsyncIterable<ShownCarve>
  /** The archive of a carve; undefined where there is none. */
  readonly read: (id: string) => Promise<Buffer | undefined>
}

/** Reads every complete carve that the fleet's operator asked for. */
export async function verifyCarves({ carves, ledger, read }: CarveOptions): Promise<CarveFindings> {
  const packed = [...ledger.packed.values()]
  // Until 5.21 a block that was lost is left out, and the agent knows no better: not everything is there then.
  const due = packed.filter(
    (carve) => carve.record.status === 'SUCCESS' && carve.record.problem === '' && !ledger.isExcused(carve),
  )
  const findings = {
    asked: ledger.asked.length,
    handedIn: due.length,
    missing: 0,
    changed: 0,
    unexplained: 0,
    refused: packed.filter((carve) => !ledger.isExcused(carve) && isRefused(carve.record)).length,
    silent: ledger.asked.reduce((sum, { expected, path }) => sum + silentOf(ledger, expected, path), 0),
  }
  const asked = new Set(ledger.asked.map(({ queryId }) => queryId))
  const complete = new Set<string>()
  for await (const { carveId, id, queryId, sha256, status } of carves) {
    if (status !== 'complete' || queryId === null || !asked.has(queryId)) continue
    const own = ledger.packed.get(carveId ?? '')
    if (!own) findings.unexplained += 1
    else {
      complete.add(own.record.guid)
      const archive = await read(id)
      const digest = archive && createHash('sha256').update(archive).digest('hex')
      if (digest !== own.record.sha256 || sha256 !== own.record.sha256) findings.changed += 1
    }
  }
  for (const { record } of due) if (!complete.has(record.guid)) findings.missing += 1
  return findings
}

// Transport's own words; everything else that ends a carve was a reply.
const LOST_ON_ITS_WAY =
  /connection broke|timed out|stopped|slept|no network|process died|socket|ECONN|aborted/

function isRefused({ problem, status }: Readonly<CarveRecord>): boolean {
  return status === 'DATA POST FAILED' && !LOST_ON_ITS_WAY.test(problem)
}

/** Expected machines that have nothing under way or handed in; a file that was lost on its way was not kept back. */
function silentOf(ledger: CarveLedger, expected: ReadonlySet<number>, path: string): number {
  const spoke = new Set<number>()
  for (const { machine, record } of ledger.packed.values())
    if (record.paths.includes(path)) spoke.add(machine)
  return [...expected].filter((machine) => !spoke.has(machine)).length
}
