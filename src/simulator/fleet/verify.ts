/**
 * Reads back what the server kept and judges it: every acknowledged line is at least once in raw and exactly once in
 * what the reader shows; every accepted answer and every file that was handed in is there; all of it is at the right
 * node and unchanged, and nothing is there that nobody sent. Reads through the admin route alone, so that it works with
 * any deployment.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AnswerLedger } from './answer-ledger.ts'
import { CarveLedger } from './carve-ledger.ts'
import type { Fleet } from './fleet.ts'
import type { LineLedger } from './line-ledger.ts'
import type { Member } from './member.ts'
import { NodeMap } from './node-map.ts'
import type { OperatorClient } from './operator-client.ts'
import { clonedHostnames, splitNodesOf } from './split-nodes.ts'
import type { Verdict } from './verdicts.ts'
import { answerVerdicts, carveVerdicts, lineVerdicts, rawVerdicts, verdict } from './verdicts.ts'
import type { AnswerFindings } from './verify-answers.ts'
import { verifyAnswers } from './verify-answers.ts'
import type { ShownCarve } from './verify-carves.ts'
import { verifyCarves } from './verify-carves.ts'
import type { LineFindings } from './verify-lines.ts'
import { verifyInventory } from './verify-inventory.ts'
import { verifyLines } from './verify-lines.ts'
import type { ListedObject, RawFindings } from './verify-raw.ts'
import { verifyRaw } from './verify-raw.ts'

export type { Verdict } from './verdicts.ts'

export interface Verification {
  readonly verdicts: readonly Verdict[]
  /** Lines of the last reading that should not be as they are. */
  readonly examples: readonly string[]
  /** How long reading all lines took, the last time. */
  readonly readMs: number
}

export interface VerifyOptions {
  readonly client: Pick<OperatorClient, 'pages' | 'items' | 'json' | 'bytes'>
  /** UUID or name. */
  readonly environment: string
  readonly lines: LineLedger
  readonly answers: AnswerLedger
  /** Default: none were asked for. */
  readonly carves?: CarveLedger
  /** Nodes that were deleted meanwhile, and whose they were. Default: none. */
  readonly removed?: ReadonlyMap<string, number>
  /** Of all machines: whatever else is listed is a stranger. Default: not looked at. */
  readonly hostnames?: ReadonlySet<string>
  /** Of machines that several members are: the server may make a node of each. Default: all of them. */
  readonly cloned?: ReadonlySet<string>
  /** Members that should have fetched a changed configuration, and that have not. Default: none. */
  readonly configured?: { readonly due: number; readonly late: number }
  /** Whose machines the inventory must be of, and where they went. Default: it is not looked at. */
  readonly inventory?: { readonly members: readonly Member[]; readonly url: string }
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
): Pick<
  VerifyOptions,
  | 'lines'
  | 'answers'
  | 'carves'
  | 'removed'
  | 'hostnames'
  | 'cloned'
  | 'configured'
  | 'enrolled'
  | 'started'
  | 'machineOf'
> {
  const { answers, carves, configured, deletions, lines, members } = fleet
  const machines = (some: readonly Member[]) => new Set(some.map(({ plan }) => plan.machine)).size
  const byUuid = new Map(members.map((member) => [member.hardwareUuid, member.plan.machine]))
  return {
    lines,
    answers,
    carves,
    configured,
    removed: deletions?.removed ?? new Map(),
    hostnames: new Set(members.map(({ host }) => host.hostname)),
    cloned: clonedHostnames(members),
    enrolled: machines(members.filter(({ hasEnrolled }) => hasEnrolled)),
    started: machines(members),
    machineOf: (hardwareUuid) => byUuid.get(hardwareUuid),
  }
}

/** Between readings while lines are on their way; the whole archive is read each time. */
const AGAIN_AFTER_MS = 5_000
/** The server's clock may be behind ours. */
const CLOCK_SLACK_MS = 60_000

/** Objects that compaction replaced while they were read: the list is read anew so often. */
const MAX_RAW_READINGS = 5

/** Reads and judges. Throws where the admin route does not answer. */
export async function verify(options: VerifyOptions): Promise<Verification> {
  const nodes = new NodeMap(options.removed)
  const { lines, raw, readMs } = await readLines(options, nodes)
  const answers = await readAnswers(options, nodes)
  const { configured = { due: 0, late: 0 } } = options
  return {
    verdicts: [
      ...lineVerdicts(lines),
      ...rawVerdicts(raw, lines),
      ...answerVerdicts(answers),
      ...carveVerdicts(await readCarves(options)),
      ...(options.isShared ? [] : await nodeVerdicts(options, nodes)),
      ...(await inventoryVerdicts(options)),
      await quarantineVerdict(options, nodes),
      verdict(
        'every agent has its configuration',
        configured.late,
        `${configured.due} due, ${configured.late} late`,
      ),
    ],
    examples: [...lines.examples, ...raw.examples],
    readMs,
  }
}

/** Reads what the reader shows, then the objects; again while lines are on their way. */
async function readLines(
  options: VerifyOptions,
  nodes: NodeMap,
): Promise<{ lines: LineFindings; raw: RawFindings; readMs: number }> {
  const { client, isShared, lines: ledger, onProgress, patienceMs } = options
  const isForeign = (nodeId: string) => isShared && nodes.machineOf(nodeId) === undefined
  const untilMs = Date.now() + patienceMs
  for (;;) {
    const startMs = Date.now()
    nodes.know(await splitNodesOf(client, options.environment, options.cloned))
    const lines = await verifyLines(client.pages(logsPath(options)), ledger, nodes, isForeign)
    const readMs = Date.now() - startMs
    onProgress?.(`read ${lines.read} lines in ${readMs} ms, ${lines.missing} of ${lines.due} missing`)
    const isPatient = Date.now() <= untilMs
    if (lines.missing === 0 || !isPatient) {
      const raw = await readRaw(options, nodes, isForeign)
      onProgress?.(`read ${raw.lines} lines in ${raw.objects} objects, ${raw.missing} of ${raw.due} missing`)
      // What came in between the two readings is in raw alone.
      const isSame = raw.eventIds.missingIn(lines.eventIds) === 0
      if ((raw.missing === 0 && isSame) || !isPatient) return { lines, raw, readMs }
    }
    await sleep(AGAIN_AFTER_MS)
  }
}

async function readRaw(
  options: VerifyOptions,
  nodes: NodeMap,
  isForeign: (nodeId: string) => boolean,
): Promise<RawFindings> {
  const { client, environment, lines: ledger } = options
  const path = `/environments/${environment}/archive/objects`
  for (let reading = 1; ; reading += 1) {
    const raw = await verifyRaw({
      objects: client.items<ListedObject>(path + sinceOf(options)),
      read: (sequence) => client.bytes(`${path}/${sequence}`),
      ledger,
      nodes,
      isForeign,
    })
    if (raw.gone === 0 || reading >= MAX_RAW_READINGS) return raw
  }
}

function logsPath(options: VerifyOptions): string {
  return `/environments/${options.environment}/logs${sinceOf(options)}`
}

function sinceOf({ isShared, sinceMs }: VerifyOptions): string {
  return isShared ? `?since=${new Date(sinceMs - CLOCK_SLACK_MS).toISOString()}` : ''
}

async function readCarves({ carves, client, environment }: VerifyOptions) {
  const path = `/environments/${environment}/carves`
  return verifyCarves({
    ledger: carves ?? new CarveLedger(),
    carves: client.items<ShownCarve>(path),
    read: (id) => client.bytes(`${path}/${id}/archive`),
  })
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

async function nodeVerdicts(options: VerifyOptions, nodes: NodeMap): Promise<Verdict[]> {
  const { client, enrolled, environment, hostnames, removed, started } = options
  const ids = new Set<string>()
  let [listed, split, unknown] = [0, 0, 0]
  for await (const { hostname, id } of client.items<{ id: string; hostname: string }>(
    `/environments/${environment}/nodes`,
  )) {
    listed += 1
    ids.add(id)
    if (nodes.originOf(id) !== id) split += 1
    if (hostnames?.has(hostname) === false || removed?.has(id)) unknown += 1
  }
  const strangers = [...nodes.ids].filter((id) => !ids.has(id)).length
  // A machine whose node was deleted may not have come back yet.
  const fewest = enrolled - new Set(removed?.values()).size
  const machines = ids.size - split
  const isCountRight = machines >= fewest && machines <= started
  return [
    verdict(
      'every machine is one node',
      isCountRight && listed === ids.size ? 0 : 1,
      `${enrolled} enrolled, ${removed?.size ?? 0} deleted, ${listed} listed, ${ids.size} different, ${split} split from others`,
    ),
    verdict('every node that spoke is listed', strangers, `${strangers} are not`),
    verdict('no node is unexplained', unknown, `${unknown} are no machine of the fleet, or were deleted`),
  ]
}

async function inventoryVerdicts(options: VerifyOptions): Promise<Verdict[]> {
  const { client, environment, inventory, patienceMs } = options
  return inventory === undefined ? [] : verifyInventory({ client, environment, patienceMs, ...inventory })
}

async function quarantineVerdict(options: VerifyOptions, nodes: NodeMap): Promise<Verdict> {
  const { client, environment, isShared } = options
  const reasons: string[] = []
  for await (const { nodeId, reason } of client.items<{ nodeId: string; reason: string }>(
    `/environments/${environment}/quarantine`,
  ))
    if (!isShared || nodes.machineOf(nodeId) !== undefined) reasons.push(reason)
  return verdict('nothing is in quarantine', reasons.length, `${reasons.length} items`, [...new Set(reasons)])
}
