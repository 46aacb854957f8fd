/** Hosts that enroll with secrets that have rules. */

import type { Reply, TestServer } from './harness.ts'
import { created } from './operator.ts'

export const SECRETS = '/environments/default/enroll-secrets'

export interface MadeSecret {
  id: string
  secret: string
  revision: number
}

/** Makes a secret that is live in the directory when it is returned. */
export async function makeSecret(
  server: TestServer,
  body: Record<string, unknown> = {},
  path = SECRETS,
): Promise<MadeSecret> {
  const made = created<MadeSecret & { live: boolean }>(
    await server.operator('POST', path, { name: 'a secret', ...body }),
  )
  if (!made.live) throw new Error('a secret is not live')
  return made
}

export interface Host {
  name: string
  serial?: string
  uuid?: string
  platform?: string
  platformType?: string
  /** Where Cloudflare saw it come from. */
  address?: string
  headers?: Record<string, string>
  path?: string
}

/** One enroll, as an agent sends it. */
export function enrollWith(server: TestServer, secret: string, host: Host): Promise<Reply> {
  const { name, serial = `SN-${name}`, platform = 'ubuntu', platformType = '9' } = host
  return server.agent(
    host.path ?? '/api/osquery/enroll',
    {
      enroll_secret: secret,
      host_identifier: name,
      platform_type: platformType,
      host_details: {
        system_info: { hostname: name, uuid: host.uuid ?? '', hardware_serial: serial },
        os_version: { platform },
        osquery_info: { version: '5.23.1', instance_id: `instance-of-${name}` },
      },
    },
    { ...(host.address === undefined ? {} : { 'cf-connecting-ip': host.address }), ...host.headers },
  )
}

/** The node key in a reply, if one is there. */
export function keyIn(reply: Reply): string | undefined {
  return reply.text.startsWith('{') ? reply.json<{ node_key?: string }>().node_key : undefined
}
