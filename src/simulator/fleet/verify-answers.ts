/** Compares the answers and results that the server gives back with those that were sent. */
import type { OpenedQuery } from './answer-ledger.ts'
import { answerDigest } from './answer-ledger.ts'
import type { NodeMap } from './node-map.ts'
import { elements, members } from './raw-json.ts'

/** The lists of one query. */
export interface QueryLists {
  readonly answers: AsyncIterable<string>
  readonly results: AsyncIterable<string>
  /** `counts.answered` of the query. */
  readonly answered: number
}

/** What reading one query's answers showed; each number but `answers` and `accepted` should be 0. */
export interface AnswerFindings {
  readonly answers: number
  readonly accepted: number
  /** Accepted, and not there. */
  missing: number
  /** Not what that machine sent. */
  changed: number
  /** Two answers of one node. */
  doubled: number
  /** From a node that sent none. */
  unexplained: number
  /** Machines that were online and have not answered. */
  readonly silent: number
  /** By how many the query's count is wrong. */
  readonly miscounted: number
}

interface StoredAnswer {
  readonly isOk: boolean
  readonly message: string
  readonly rowCount: number
}

/**
 * `nodes` knows the nodes that sent lines, see verify-lines.ts; `learn` is asked about the others, and notes what it
 * finds in `nodes`.
 */
export async function verifyAnswers(
  query: OpenedQuery,
  lists: QueryLists,
  nodes: NodeMap,
  learn: (nodeId: string) => Promise<void>,
): Promise<AnswerFindings> {
  const { stored, doubled } = await readAnswers(lists.answers)
  for (const nodeId of stored.keys()) if (nodes.machineOf(nodeId) === undefined) await learn(nodeId)
  const rows = await readResults(lists.results)
  const accepted = [...query.answers].filter(([, answers]) => answers.isAccepted)
  const findings = {
    answers: stored.size,
    accepted: accepted.length,
    missing: 0,
    changed: 0,
    doubled,
    unexplained: 0,
    silent: [...query.expected].filter((machine) => !query.answers.get(machine)?.isAccepted).length,
    miscounted: Math.abs(lists.answered - stored.size),
  }
  for (const [machine, { isForgiven }] of accepted) {
    const isThere = nodes.nodesOf(machine).some((nodeId) => stored.has(nodeId))
    if (!isThere && !isForgiven) findings.missing += 1
  }
  for (const [nodeId, answer] of stored) {
    const machine = nodes.machineOf(nodeId)
    const sent = machine === undefined ? undefined : query.answers.get(machine)?.sent
    const rowTexts = rows.get(nodeId) ?? []
    if (!sent) findings.unexplained += 1
    else if (
      answer.rowCount !== rowTexts.length ||
      !sent.has(answerDigest(answer.isOk, answer.message, rowTexts))
    )
      findings.changed += 1
  }
  for (const nodeId of rows.keys()) if (!stored.has(nodeId)) findings.unexplained += 1
  return findings
}

async function readAnswers(
  pages: AsyncIterable<string>,
): Promise<{ stored: Map<string, StoredAnswer>; doubled: number }> {
  const stored = new Map<string, StoredAnswer>()
  let doubled = 0
  for await (const page of pages) {
    const { items } = JSON.parse(page) as {
      items: { nodeId: string; status: string; message: string; rowCount: number }[]
    }
    for (const { nodeId, status, message, rowCount } of items) {
      if (stored.has(nodeId)) doubled += 1
      stored.set(nodeId, { isOk: status === 'ok', message, rowCount })
    }
  }
  return { stored, doubled }
}

/** The texts of each node's rows. */
async function readResults(pages: AsyncIterable<string>): Promise<Map<string, string[]>> {
  const rows = new Map<string, string[]>()
  for await (const page of pages) {
    for (const item of elements(members(page).get('items') ?? '[]')) {
      const found = members(item)
      const nodeId = JSON.parse(found.get('nodeId') ?? '""') as string
      const texts = rows.get(nodeId) ?? []
      texts.push(found.get('columns') ?? '')
      rows.set(nodeId, texts)
    }
  }
  return rows
}
