/** Steps: the whole server dies in the middle of a flush, and a second start goes on where it was. */

import type { LocalAccess } from './local-files.ts'
import { lasting } from './local-files.ts'
import type { OperatorApi } from './operator-api.ts'
import type { Seen } from './report.ts'
import { expect, valueOf } from './report.ts'
import { node } from './shapes.ts'
import type { RunningServer } from './start-step.ts'
import { expectNothingLeft } from './start-step.ts'
import type { WalkingAgent } from './walking-agent.ts'

const KILLED_WITHIN_MS = 5_000
const EXTRA_LINES = 40

/** Kills every process of the server in the moment in which the agent reads an acknowledgement. */
export async function killInMidFlush(
  walking: WalkingAgent,
  { start, port }: RunningServer,
): Promise<Seen<undefined>> {
  const { agent } = walking
  const before = agent.acknowledgedLines.length
  walking.writeLines(EXTRA_LINES)
  await start.noteGroups()
  walking.onAcknowledged = () => start.killAtOnce()
  await agent.flushLogs()
  walking.onAcknowledged = () => undefined
  const acknowledged = agent.acknowledgedLines.length - before
  const waiting = agent.bufferedLines.length
  expect(acknowledged > 0, 'the server acknowledged nothing: it was not killed')
  expect(waiting > 0, 'the server acknowledged everything although it was killed after the first batch')
  const ended = await start.endedWithin(KILLED_WITHIN_MS)
  expect(ended === 'SIGKILL', `npm start is ${ended} after SIGKILL`)
  await expectNothingLeft(start, port)
  return {
    value: undefined,
    detail: `after ${acknowledged} lines were acknowledged, ${waiting} more were not`,
  }
}

/** Credentials are the same, and the agent goes on with its key: no enroll, no refusal, one node. */
export async function goOn(
  walking: WalkingAgent,
  before: LocalAccess,
  { access }: RunningServer,
  api: OperatorApi,
): Promise<Seen<undefined>> {
  const [kept, now] = [lasting(before), lasting(access)]
  const changed = Object.keys(kept).filter((name) => kept[name] !== now[name])
  expect(changed.length === 0, `the second start made new ${changed.join(', ')}`)
  const { agent } = walking
  const { nodeKey, counters } = agent
  const enrolls = counters.calls.enroll.sent
  valueOf(await agent.fetchConfig(), 'config')
  valueOf((await agent.pollDistributed()).read, 'distributed read')
  walking.writeLines(0)
  await walking.sendLines()
  expect(
    counters.calls.enroll.sent === enrolls && counters.nodeInvalid === 0 && agent.nodeKey === nodeKey,
    'the agent had to enroll anew',
  )
  const nodes = await api.all('/nodes', node)
  expect(
    nodes.length === 1 && nodes[0]?.id === walking.nodeId,
    `there are ${nodes.length} nodes, not the one of before`,
  )
  return { value: undefined, detail: 'same certificate, secret and token; the agent uses its old node key' }
}
