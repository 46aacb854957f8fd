/** What tests of the admin route share: problems, second environments, pages. */

import { expect } from 'vitest'
import { NO_BUILT_IN } from '../../src/config/built-in.ts'
import { ENROLL_SECRET, type Reply, type TestServer } from './harness.ts'

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  errors: { pointer: string; detail: string }[]
}

/** The status and the pointers of a problem; fails where the reply is not a whole one. */
export function problemOf(reply: Reply): { status: number; pointers: string[] } {
  expect(reply.headers.get('content-type')).toBe('application/problem+json')
  const problem = reply.json<Problem>()
  expect(problem).toEqual({
    type: expect.any(String) as string,
    title: expect.any(String) as string,
    status: reply.status,
    detail: expect.stringMatching(/./) as string,
    errors: expect.any(Array) as [],
  })
  return { status: reply.status, pointers: problem.errors.map(({ pointer }) => pointer) }
}

/** A reply's object after a status that was expected. */
export function created<T = { id: string }>(reply: Reply, status = 201): T {
  if (reply.status !== status) throw new Error(`${reply.status} ${reply.text}`)
  return reply.json<T>()
}

/** Makes an environment with a secret of its own. */
export async function makeEnvironment(
  server: TestServer,
  name: string,
): Promise<{ id: string; secret: string }> {
  const { id } = created(
    await server.operator('POST', '/environments', { name, builtInQueries: NO_BUILT_IN }),
  )
  const { secret } = created<{ secret: string }>(
    await server.operator('POST', `/environments/${name}/enroll-secrets`, { name: 'first' }),
  )
  return { id, secret }
}

/** Enrolls a host of this shape; its node key. */
export async function enrollHost(
  server: TestServer,
  hostname: string,
  options: { secret?: string; platform?: string; platformType?: string; uuid?: string } = {},
): Promise<string> {
  return server.until(async () => {
    const reply = await server.agent('/api/osquery/enroll', {
      enroll_secret: options.secret ?? ENROLL_SECRET,
      host_identifier: hostname,
      platform_type: options.platformType ?? '9',
      host_details: {
        system_info: {
          hostname,
          uuid: options.uuid ?? crypto.randomUUID(),
          hardware_serial: `SN-${hostname}`,
        },
        os_version: { platform: options.platform ?? 'ubuntu' },
        osquery_info: { version: '5.23.1', instance_id: crypto.randomUUID() },
      },
    })
    return reply.json<{ node_key?: string }>().node_key
  }, 5_000)
}

/** The items of all pages of a list, `limit` at a time. */
export async function allPages<Item>(server: TestServer, path: string, limit: number): Promise<Item[]> {
  const items: Item[] = []
  let cursor = ''
  do {
    const reply = await server.operator(
      'GET',
      `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor}`,
    )
    const page = created<{ items: Item[]; nextCursor: string | null }>(reply, 200)
    items.push(...page.items)
    cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`
  } while (cursor !== '')
  return items
}
