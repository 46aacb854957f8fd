/** The agent of the walk: set up by the flagfile alone, as an osqueryd would be. */

import { STARTER_CONFIGURATION } from '../start/starter-configuration.ts'
import { SimulatedAgent } from '../../simulator/agent.ts'
import { newState } from '../../simulator/agent-state.ts'
import { isJsonObject } from '../../simulator/json.ts'
import type { LogLine } from '../../simulator/log-buffer.ts'
import { endpointsOf } from './flagfile.ts'
import type { LocalAccess } from './local-files.ts'
import type { OperatorApi } from './operator-api.ts'
import type { Seen } from './report.ts'
import { expect, valueOf } from './report.ts'
import { node } from './shapes.ts'

/** All lines of a walk are kept for comparison. */
const KEPT_LINES = 100_000
/** Two log POSTs hold this many lines (logger_tls_max_lines), so that a flush needs several. */
const MAX_FLUSHES = 100

/** As another JSON writer than ours would write them: parsed and written anew they would differ. */
const FOREIGN_LINES: readonly LogLine[] = [
  String.raw`{"name":"walk_foreign", "snapshot":[{"b":18446744073709551615,"a":1.50e3,"10":-0,"2":0.0}],"action":"snapshot"}`,
  String.raw`{"action":"added","name":"walk_foreign","columns":{"path":"\/etc\/Zo\u00eb","cut":"\ud834"}}`,
].map((text) => ({ kind: 'result', text }))

/** Whose lines are compared byte for byte: whatever a serializer might write differently. */
const ODD_TEXTS = [
  'Zoë ☃ 𝄞',
  'tab\t quote" back\\slash / </script>',
  '18446744073709551615',
  '\u0000\u001f\u2028',
  '',
]

export class WalkingAgent {
  readonly agent: SimulatedAgent
  /** Called with each acknowledgement before anything else happens, e.g. before the next request. */
  onAcknowledged: () => void = () => undefined
  #nodeId = ''
  #lastLine = 0

  constructor({ url, certificate, enrollSecret, flags }: LocalAccess) {
    this.agent = new SimulatedAgent({
      url,
      ca: certificate,
      enrollSecret,
      flags,
      endpoints: endpointsOf(flags),
      seed: 'walk',
      keptLines: KEPT_LINES,
      // Lines that were waiting when an earlier life ended.
      state: { ...newState(), lines: FOREIGN_LINES },
      onEvent: ({ kind }) => {
        if (kind === 'lines-acknowledged') this.onAcknowledged()
      },
    })
  }

  /** The id that operators see; "" before it has enrolled. */
  get nodeId(): string {
    return this.#nodeId
  }

  /** Enrolls, appears among the nodes, takes on the starter configuration. */
  async enroll(api: OperatorApi): Promise<Seen<undefined>> {
    valueOf(await this.agent.enroll(), 'enroll')
    const { hostname } = this.agent.identity.host
    const found = (await api.all('/nodes', node)).filter((item) => item.hostname === hostname)
    expect(found.length === 1, `${found.length} nodes are called ${hostname}`)
    const [{ id, online } = { id: '', online: false }] = found
    expect(online, 'the node is not online')
    this.#nodeId = id
    valueOf(await this.agent.fetchConfig(), 'config')
    const starter: unknown = JSON.parse(STARTER_CONFIGURATION)
    const wanted =
      isJsonObject(starter) && isJsonObject(starter.schedule) ? Object.keys(starter.schedule) : []
    const got = this.agent.scheduledNames
    expect(
      wanted.every((name) => got.includes(name)),
      `the configuration schedules ${got.join(', ')}, not ${wanted.join(', ')}`,
    )
    return { value: undefined, detail: `node ${id}, ${got.length} scheduled queries` }
  }

  /** Runs the whole schedule once and adds lines with odd contents, as many as asked for. */
  writeLines(extra: number): void {
    this.agent.runSchedule({ force: true })
    for (let i = 0; i < extra; i += 1) {
      this.#lastLine += 1
      const text = ODD_TEXTS[i % ODD_TEXTS.length] ?? ''
      this.agent.logSnapshot('walk', [{ line: String(this.#lastLine), text }])
      this.agent.logStatus(0, 'walk.ts', this.#lastLine, `walk ${text}`)
    }
  }

  /** Sends lines until all are acknowledged. */
  async sendLines(): Promise<void> {
    for (let i = 0; i < MAX_FLUSHES && this.agent.bufferedLines.length > 0; i += 1) {
      for (const { kind, outcome } of await this.agent.flushLogs()) valueOf(outcome, `log (${kind})`)
    }
    const waiting = this.agent.bufferedLines.length
    expect(waiting === 0, `${waiting} lines are still not acknowledged`)
  }
}
