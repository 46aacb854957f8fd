/**
 * The product's Worker with the faults of chaos around its bindings, and what its stages are measured by. Only the
 * benchmark builds this entry. `x-bench-port: queue` picks the ack port; `/chaos/state` sets the faults
 * (chaos/worker/control.ts); `/bench/read` reads as `GET …/logs` does, in larger pages; the entrypoint `stages` runs scan,
 * consumer and compaction in the same isolate.
 */

// First, see there.
import '../../chaos/worker/clock.ts'
import * as product from '../../../src/index.ts'
import { chaosEnv } from '../../chaos/worker/bindings.ts'
import { control, faultFor, meet } from '../../chaos/worker/control.ts'
import { chaotic } from '../../chaos/worker/objects.ts'
import { textOf } from '../../../src/lib/bytes.ts'
import { readLogs, type LogCursor } from '../../../src/logs/read.ts'

export { stages } from './stages.ts'

export const Directory = chaotic(product.Directory, 'Directory')
export const Environment = chaotic(product.Environment, 'Environment')
export const Presence = chaotic(product.Presence, 'Presence')
export const AnswerShard = chaotic(product.AnswerShard, 'AnswerShard')
export const Archive = chaotic(product.Archive, 'Archive')
export const CarveSession = chaotic(product.CarveSession, 'CarveSession')
export const Feed = chaotic(product.Feed, 'Feed')
export const Sink = chaotic(product.Sink, 'Sink')
export const Tail = chaotic(product.Tail, 'Tail')
export const Costs = chaotic(product.Costs, 'Costs')

const { default: worker } = product

/** Which bindings are objects, and of which class: what the platform refuses in front of one is told by its class. */
const CHAOS_CLASSES = { ARCHIVE_INDEX: 'Archive', SINK: 'Sink' }

let made: Record<Env['LOG_ACK_PORT'] | 'queue', Env> | undefined

function faulty(env: Env, port: string): Env {
  made ??= {
    inbox: chaosEnv({ ...env, CHAOS_CLASSES, LOG_ACK_PORT: 'inbox' } as Env),
    queue: chaosEnv({ ...env, CHAOS_CLASSES, LOG_ACK_PORT: 'queue' } as unknown as Env),
  }
  return port === 'queue' ? made.queue : made.inbox
}

/** What `POST /bench/read` asks for. */
export interface ReadRequest {
  environmentId: string
  limit: number
  cursor: LogCursor | null
}

/** A page of what agents logged: the lines' ids and texts, and the cursor as the reader gives it. */
export interface ReadReply {
  lines: { eventId: string; text: string }[]
  nextCursor: LogCursor | null
}

async function readPage(request: Request, env: Env): Promise<Response> {
  const { environmentId, limit, cursor } = await request.json<ReadRequest>()
  const nothing = {
    nodeId: null,
    type: null,
    name: null,
    sinceMs: null,
    untilMs: null,
    column: null,
    text: null,
  }
  const { lines, nextCursor } = await readLogs(env, environmentId, { ...nothing, limit, cursor })
  const shown = lines.map(({ header, line }) => ({ eventId: header.eventId, text: textOf(line) }))
  return Response.json({ lines: shown, nextCursor } satisfies ReadReply)
}

export default {
  async fetch(request, env, ctx) {
    const told = await control(request)
    if (told !== null) return told
    if (new URL(request.url).pathname === '/bench/read') return readPage(request, faulty(env, ''))
    return worker.fetch(request as never, faulty(env, request.headers.get('x-bench-port') ?? ''), ctx)
  },
  async queue(batch, env) {
    const fault = faultFor('consumer')
    const run = () => worker.queue(batch, faulty(env, ''))
    return fault === null ? run() : meet(fault, run)
  },
  scheduled: (controller, env, ctx) => worker.scheduled(controller, faulty(env, ''), ctx),
} satisfies ExportedHandler<Env>
