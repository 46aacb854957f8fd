/**
 * What a real osqueryd sent, replayed in order with keys and session ids re-mapped: every reply is what that agent
 * needs to go on, and every line it shipped can be read back byte for byte.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCaptures, type CapturedRequest } from '../support/captures.ts'
import { STARTER_CONFIGURATION, startServer, type Reply, type TestServer } from '../support/harness.ts'

const PATHS: Record<string, string> = {
  '/enroll': 'enroll',
  '/config': 'config',
  '/log': 'log',
  '/distributed/read': 'distributed/read',
  '/distributed/write': 'distributed/write',
  '/carve/init': 'carve/begin',
  '/carve/block': 'carve/block',
}

let server: TestServer
beforeAll(async () => {
  server = await startServer()
  await server.operator('POST', '/environments/default/enroll-secrets', {
    name: 'captured',
    secret: 's3cr3t',
  })
})
afterAll(() => server.close())

/** Sends captured requests as if from one agent: what it would have learnt from us replaces what was recorded. */
class Replay {
  readonly replies: { request: CapturedRequest; reply: Reply }[] = []
  readonly #replaced = new Map<string, string>()
  #nodeKey = ''
  #sessionId = ''

  async send(request: CapturedRequest): Promise<Reply> {
    const [path = '', query = ''] = request.target.split('?')
    // Bytes as latin1, so that replacing texts leaves every other byte as it is.
    let body = request.body.toString('latin1')
    const recordedKey = /"node_key":"([^"]+)"/.exec(body)?.[1]
    if (recordedKey !== undefined) body = body.replaceAll(recordedKey, this.#keyFor(recordedKey))
    body = body.replace(/"session_id":"[^"]+"/, () => `"session_id":"${this.#sessionId}"`)
    const headers: Record<string, string> = { 'user-agent': request.headers['user-agent'] ?? '' }
    const authorization = request.headers['authorization']?.split(' ')[1]
    if (authorization !== undefined) headers['authorization'] = `NodeKey ${this.#keyFor(authorization)}`
    const target = `/api/osquery/${PATHS[path]}${query === '' ? '' : `?${query}`}`
    const reply = await server.agent(target, new Uint8Array(Buffer.from(body, 'latin1')), headers)
    this.replies.push({ request, reply })
    if (path === '/enroll' && reply.text.includes('node_key')) {
      this.#nodeKey = reply.json<{ node_key: string }>().node_key
    }
    if (path === '/carve/init') this.#sessionId = reply.json<{ session_id: string }>().session_id
    return reply
  }

  #keyFor(recorded: string): string {
    const known = this.#replaced.get(recorded)
    if (known !== undefined) return known
    this.#replaced.set(recorded, this.#nodeKey)
    return this.#nodeKey
  }
}

const EXPECTED: Record<string, RegExp | string> = {
  enroll: /^\{"node_key":"oen1-[^"]+"\}$/,
  config: STARTER_CONFIGURATION,
  log: '{}',
  'distributed-read': '{}',
  'distributed-write': '{}',
  'carve-init': /^\{"session_id":"oec1-[^"]+"/,
  'carve-block': '{}',
}

function expectedFor(file: string): RegExp | string {
  const kind = Object.keys(EXPECTED).find((name) => file.slice(5).startsWith(name))
  return EXPECTED[kind ?? ''] ?? ''
}

async function replay(folder: string): Promise<Replay> {
  const agent = new Replay()
  for (const request of readCaptures(folder)) {
    const reply = await agent.send(request)
    const expected = expectedFor(request.file)
    expect([request.file, reply.status]).toEqual([request.file, 200])
    if (typeof expected === 'string') expect([request.file, reply.text]).toEqual([request.file, expected])
    else expect(reply.text).toMatch(expected)
  }
  return agent
}

describe('captures of a real osqueryd', () => {
  it('01-main: enroll with NUL padding, config, all logs, distributed, two carves', async () => {
    await replay('01-main')
    const node = await server.env.DB.prepare(
      "SELECT host_details FROM nodes WHERE host_identifier = 'main-1'",
    ).first()
    expect(JSON.stringify(node)).not.toContain('u0000')
    expect(String(node?.['host_details'])).toContain('Intel(R) Xeon(R) Processor"')

    const shipped = readCaptures('01-main')
      .filter(({ file }) => file.includes('-log-'))
      .flatMap(({ body }) => linesOf(body.toString('utf8')))
    const found = await server.until(async () => {
      const { text } = await server.operator('GET', '/environments/default/logs?limit=1000')
      return shipped.every((line) => text.includes(line)) ? text : null
    })
    expect(shipped.length).toBeGreaterThan(30)
    expect(found.split('"eventId"').length - 1).toBe(new Set(shipped).size)
  })

  it('03-node-invalid-reenroll: the agent enrolls again and goes on', async () => {
    await replay('03-node-invalid-reenroll')
    const { results } = await server.env.DB.prepare(
      "SELECT enroll_count FROM nodes WHERE host_identifier = 're-1'",
    ).all()
    expect(results).toEqual([{ enroll_count: 2 }])
  })

  it('04-enroll-rejected: a wrong secret and an empty key are told node_invalid, every time', async () => {
    for (const { file, target, body } of readCaptures('04-enroll-rejected')) {
      const text = body.toString('utf8').replace('"s3cr3t"', '"not-the-secret"')
      const reply = await server.agent(`/api/osquery${target}`, text)
      expect([file, reply.status, reply.text]).toEqual([file, 200, '{"node_invalid":true}'])
    }
  })

  it('10-host-identifiers: four agents of one machine image are four nodes', async () => {
    await replay('10-host-identifiers')
    const { results } = await server.env.DB.prepare("SELECT id FROM nodes WHERE hostname = 'vm'").all()
    expect(results.length).toBeGreaterThanOrEqual(4)
  })

  it.each(['11-logger-numerics-snapshot-event', '12-secret-always-and-override'])('%s', async (folder) => {
    await replay(folder)
  })

  it('15-file-events-and-big-carve: also from an agent whose enroll was not recorded', async () => {
    const agent = new Replay()
    const [enroll] = readCaptures('10-host-identifiers')
    if (enroll !== undefined) await agent.send(enroll)
    for (const request of readCaptures('15-file-events-and-big-carve')) {
      const reply = await agent.send(request)
      expect([request.file, reply.status]).toEqual([request.file, 200])
    }
  })

  it('17-config-empty-body: a key of another server is told node_invalid, then the agent enrolls anew', async () => {
    for (const { body, headers } of readCaptures('17-config-empty-body')) {
      const authorization = { authorization: headers['authorization'] ?? '' }
      const reply = await server.agent('/api/osquery/config', new Uint8Array(body), authorization)
      expect([reply.status, reply.text]).toEqual([200, '{"node_invalid":true}'])
    }
  })
})

/** The elements of `data` as the agent wrote them: osqueryd's JSON is compact, so entries begin at known places. */
function linesOf(body: string): string[] {
  const data = body.slice(body.indexOf('[') + 1, body.lastIndexOf('],"log_type"'))
  const lines: string[] = []
  let depth = 0
  let start = 0
  let inString = false
  for (let i = 0; i < data.length; i += 1) {
    const letter = data[i]
    if (inString) {
      if (letter === '\\') i += 1
      else if (letter === '"') inString = false
    } else if (letter === '"') inString = true
    else if (letter === '{') {
      if (depth === 0) start = i
      depth += 1
    } else if (letter === '}') {
      depth -= 1
      if (depth === 0) lines.push(data.slice(start, i + 1))
    }
  }
  return lines
}
