/**
 * Reads back what the server kept and judges it: every acknowledged line and accepted answer is there, once, at the right node,
 * unchanged, and nothing is there that nobody sent. Reads through the admin route alone, so that it works with any
 * deployment; the archive's raw objects, in which a line may be more than once, it does not see.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AnswerLedger } from './answer-ledger.ts'
import type { Fleet } from './fleet.ts'
import type { LineLedger } from './line-ledger.ts'
import type { Member } from './member.ts'
import { NodeMap } from './node-map.ts'
import type { OperatorClient } from './operator-client.ts'
import type { AnswerFindings } from './verify-answers.ts'
import { verifyAnswers } from './verify-answers.ts'
import type { LineFindings } from './verify-lines.ts'
import { verifyLines } from './verify-lines.ts'

/** One invariant. */
export interface Verdict {
  readonly name: string
  readonly isOk: boolean
  readonly detail: string
}

export interface Verification {
  readonly verdicts: readonly Verdict[]
  /** Lines of the last reading that should not be as they are. */
  readonly examples: readonly string[]
  /** How long reading all lines took, the last time. */
  readonly readMs: number
}

export interface VerifyOptions {
  readonly client: Pick<OperatorClient, 'pages' | 'items' | 'json'>
  /** UUID or name. */
  readonly environment: string
  readonly lines: LineLedger
  readonly answers: AnswerLedger
  /** Machines that hold a key, and machines that may, because a reply was lost. */
  readonly enrolled: number
  readonly started: number
  /** The machine with this hardware UUID in lower case. */
  readonly machineOf: (hardwareUuid: string) => number | undefined
  /** Other agents are in this environment too: what they sent is left out. */
  readonly isShared: boolean
  /** When the run began, to leave out what was there before. */
  readonly sinceMs: number
  /** How long to wait for lines that are still on their way. */
  readonly patienceMs: number
  readonly onProgress?: (text: string) => void
}

/** What a fleet tells the verifier. */
export function subjectOf(
  fleet: Fleet,
): Pick<VerifyOptions, 'lines' | 'answers' | 'enrolled' | 'started' | 'machineOf'> {
  const { answers, lines, members } = fleet
  const machines = (some: readonly Member[]) => new Set(some.map(({ plan }) => plan.machine)).size
  const byUuid = new Map(members.map((member) => [member.hardwareUuid, member.plan.machine]))
  return {
    lines,
    answers,
    enrolled: machines(members.filter(({ hasEnrolled }) => hasEnrolled)),
    started: machines(members),
    machineOf: (hardwareUuid) => byUuid.get(hardwareUuid),
  }
}

/** Between readings while lines are on their way; the whole archive is read each time. */
const AGAIN_AFTER_MS = 5_000
/** The server's clock may be behind ours. */
const CLOCK_SLACK_MS = 60_000

/** Reads and judges. Throws where the admin route does not answer. */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const nodes = new NodeMap()
  const { findings, readMs } = await readLines(options, nodes)
  const answers = await readAnswers(options, nodes)
  return {
    verdicts: [
      ...lineVerdicts(findings),
      ...answerVerdicts(answers),
      ...(options.isShared ? [] : await nodeVerdicts(options, nodes)),
    ],
    examples: findings.examples,
    readMs,
  }
}

async function readLines(
  options: VerifyOptions,
  nodes: NodeMap,
): Promise<{ findings: LineFindings; readMs: number }> {
  const { client, environment, isShared, lines, onProgress, patienceMs, sinceMs } = options
  const path = `/environments/${environment}/logs`
  const since = isShared ? `?since=${new Date(sinceMs - CLOCK_SLACK_MS).toISOString()}` : ''
  const untilMs = Date.now() + patienceMs
  for (;;) {
    const startMs = Date.now()
    const findings = await verifyLines(
      client.pages(path + since),
      lines,
      nodes,
      (nodeId) => isShared && nodes.machineOf(nodeId) === undefined,
    )
    const readMs = Date.now() - startMs
    onProgress?.(
      `read ${findings.read} lines in ${readMs} ms, ${findings.missing} of ${findings.due} missing`,
    )
    if (findings.missing === 0 || Date.now() > untilMs) return { findings, readMs }
    await sleep(AGAIN_AFTER_MS)
  }
}

async function readAnswers(options: VerifyOptions, nodes: NodeMap): Promise<AnswerFindings[]> {
  const { client, environment, machineOf } = options
  // A node that got no line through is known by what it enrolled with.
  const learn = async (nodeId: string): Promise<void> => {
    const path = `/environments/${environment}/nodes/${nodeId}`
    const { hardwareUuid } = await client.json<{ hardwareUuid: string }>('GET', path)
    const machine = machineOf(hardwareUuid.toLowerCase())
    if (machine !== undefined) nodes.bind(nodeId, machine)
  }
  const found: AnswerFindings[] = []
  for (const query of options.answers.queries) {
    const path = `/environments/${environment}/queries/${query.id}`
    const { counts } = await client.json<{ counts: { answered: number } }>('GET', path)
    const lists = {
      answers: client.pages(`${path}/answers`),
      results: client.pages(`${path}/results`),
      answered: counts.answered,
    }
    found.push(await verifyAnswers(query, lists, nodes, learn))
  }
  return found
}

function lineVerdicts(findings: LineFindings): Verdict[] {
  const { due, missing, missingByMachine, outOfOrder, read, sightings } = findings
  const whose = missingByMachine.map(([machine, lines]) => `${lines} of machine ${machine}`)
  return [
    verdict('every acknowledged line is there', missing, `${due} due, ${missing} missing`, whose),
    verdict('every line is there once', sightings.doubled, `${read} read, ${sightings.doubled} doubled`),
    verdict('no line is unexplained', sightings.unexplained, `${sightings.unexplained} that nobody sent`),
    verdict(
      'every line is its node’s',
      sightings['wrong-node'],
      `${sightings['wrong-node']} under another node`,
    ),
    verdict('lines come newest first', outOfOrder, `${outOfOrder} out of order`),
  ]
}

function answerVerdicts(found: readonly AnswerFindings[]): Verdict[] {
  const sum = (name: keyof AnswerFindings) => found.reduce((total, each) => total + each[name], 0)
  const [missing, wrong] = [sum('missing'), sum('changed')]
  return [
    verdict(
      'every accepted answer is there',
      missing,
      `${found.length} queries, ${sum('accepted')} accepted, ${missing} missing`,
    ),
    verdict('every answer is what was sent', wrong, `${sum('answers')} read, ${wrong} changed`),
    verdict('every answer is there once', sum('doubled'), `${sum('doubled')} doubled`),
    verdict('no answer is unexplained', sum('unexplained'), `${sum('unexplained')} that nobody sent`),
    verdict('every online agent answers', sum('silent'), `${sum('silent')} silent`),
    verdict('queries count their answers right', sum('miscounted'), `off by ${sum('miscounted')}`),
  ]
}

async function nodeVerdicts(options: VerifyOptions, nodes: NodeMap): Promise<Verdict[]> {
  const path = `/environments/${options.environment}`
  const ids = new Set<string>()
  let listed = 0
  for await (const { id } of options.client.items<{ id: string }>(`${path}/nodes`)) {
    listed += 1
    ids.add(id)
  }
  const strangers = [...nodes.ids].filter((id) => !ids.has(id)).length
  const isCountRight = ids.size >= options.enrolled && ids.size <= options.started
  const reasons: string[] = []
  for await (const { reason } of options.client.items<{ reason: string }>(`${path}/quarantine`))
    reasons.push(reason)
  return [
    verdict(
      'every machine is one node',
      isCountRight && listed === ids.size ? 0 : 1,
      `${options.enrolled} enrolled, ${listed} listed, ${ids.size} different`,
    ),
    verdict('every node that spoke is listed', strangers, `${strangers} are not`),
    verdict('nothing is in quarantine', reasons.length, `${reasons.length} items`, [...new Set(reasons)]),
  ]
}

function verdict(name: string, faults: number, detail: string, more: readonly string[] = []): Verdict {
  return { name, isOk: faults === 0, detail: [detail, ...(faults === 0 ? [] : more)].join('; ') }
}
