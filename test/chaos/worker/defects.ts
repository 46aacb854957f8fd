/**
 * The planted defects: what a Worker that breaks its promises would do, each the way such a thing happens. They prove
 * that the verifier sees it.
 */

import { defects } from './control.ts'
import type { PlantedDefect, Sabotage } from './fault.ts'

/** Of the archive's lines, each so many-th is lost or doubled. */
const EVERY_NTH_LINE = 10

type Serve = (request: Request) => Response | Promise<Response>

/** Answers a request as the defect has it, where its port is that of a defect. */
export async function serveWithDefect(
  request: Request,
  waitUntil: (work: Promise<unknown>) => void,
  serve: Serve,
): Promise<Response> {
  const { pathname, port } = new URL(request.url)
  const sabotage = defects().find((defect) => defect.port === Number(port))?.sabotage
  if (sabotage === undefined || !pathname.startsWith('/api/osquery/')) return serve(request)
  if (sabotage === 'ack-first' && pathname.endsWith('/log')) {
    const body = await request.arrayBuffer()
    waitUntil(Promise.resolve(serve(new Request(request, { method: 'POST', body }))))
    return Response.json({})
  }
  const reply = await serve(request)
  if (reply.status < 500) return reply
  if (sabotage === 'empty-500') return new Response(null, { status: 500 })
  return sabotage === 'node-invalid-on-outage' ? Response.json({ node_invalid: true }) : reply
}

/** The row that enroll gets: with the defect every second node has its neighbour's ordinal. */
export async function reusedOrdinal(
  sql: string,
  bound: readonly unknown[],
  found: Promise<unknown>,
): Promise<unknown> {
  const row = await found
  const isEnroll = sql.includes('INSERT INTO nodes') && hits('reuse-ordinal', (id) => bound.includes(id))
  if (!isEnroll || typeof row !== 'object' || row === null || !('ordinal' in row)) return row
  const { ordinal } = row as { ordinal: number }
  return { ...row, ordinal: ordinal - (ordinal % 2) }
}

/** Arguments of an R2 put: with a defect a line of the archive's object is missing, or there twice under two ids. */
export async function tamperedLines(args: unknown[]): Promise<unknown[]> {
  const [key, value, ...rest] = args
  if (typeof key !== 'string' || !key.startsWith('logs/') || !(value instanceof Uint8Array)) return args
  const isOf = (id: string) => key.includes(id)
  const isDropped = hits('drop-line', isOf)
  if (!isDropped && !hits('double-line', isOf)) return args
  const text = await new Response(
    new Response(value).body?.pipeThrough(new DecompressionStream('gzip')),
  ).text()
  const lines = text.split('\n').filter((line) => line !== '')
  const tampered = lines.flatMap((line, at) => {
    if (at % EVERY_NTH_LINE !== 0) return [line]
    return isDropped ? [] : [line, line.replace(/"eventId":"../, '"eventId":"ff')]
  })
  const bytes = new Response(tampered.map((line) => `${line}\n`).join('')).body?.pipeThrough(
    new CompressionStream('gzip'),
  )
  return [key, await new Response(bytes).arrayBuffer(), ...rest]
}

function hits(sabotage: Sabotage, isOf: (environmentId: string) => boolean): boolean {
  return defects().some((defect: PlantedDefect) => defect.sabotage === sabotage && isOf(defect.environmentId))
}
