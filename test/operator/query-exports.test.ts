import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, problemOf } from '../support/operator.ts'

let server: TestServer
let path = ''
const nodeIds: Record<string, string> = {}

/** Rows by host; the last one has what spreadsheets, CSV and JSON trip over. */
const ROWS: Record<string, Record<string, unknown>[]> = {
  'web-1': [
    { name: 'nginx', version: '1.25' },
    { name: 'bash', version: '5.2' },
  ],
  'web-2': [
    { name: 'nginx', version: '1.25' },
    { name: 'nginx', version: '1.26' },
  ],
  'web-3': [{ name: '=HYPERLINK("x")', version: 'a,"b"\r\nc', extra: 'ü' }],
}

beforeAll(async () => {
  server = await startServer()
  const keys: Record<string, string> = {}
  for (const host of Object.keys(ROWS)) keys[host] = await enrollHost(server, host)
  const { id } = created(
    await server.operator('POST', '/environments/default/queries', {
      sql: 'SELECT 1',
      targets: { all: true },
    }),
  )
  path = `/environments/default/queries/${id}`
  for (const [host, rows] of Object.entries(ROWS)) {
    await server.until(async () => {
      const read = await server.agent('/api/osquery/distributed/read', { node_key: keys[host] })
      const [queryId] = Object.keys(read.json<{ queries?: Record<string, string> }>().queries ?? {})
      if (queryId === undefined) return false
      const written = await server.agent('/api/osquery/distributed/write', {
        node_key: keys[host],
        queries: { [queryId]: rows },
        statuses: { [queryId]: 0 },
      })
      return written.text === '{}'
    })
  }
  for (const { id: nodeId, hostname } of await allPages<{ id: string; hostname: string }>(
    server,
    '/environments/default/nodes',
    10,
  ))
    nodeIds[hostname] = nodeId
})
afterAll(() => server.close())

interface Line {
  nodeId: string
  hostname: string
  receivedAt: string
  columns: Record<string, string>
}

const byHost = (lines: Line[]) =>
  Object.fromEntries(
    [...Map.groupBy(lines, ({ hostname }) => hostname)].map(([host, group]) => [
      host,
      group.map(({ columns }) => columns),
    ]),
  )

describe('an export', () => {
  it('is NDJSON with each row as the agent wrote it', async () => {
    const reply = await server.operator('GET', `${path}/export`)
    expect(reply.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = reply.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
    expect(byHost(lines)).toEqual(ROWS)
    expect(lines.every(({ nodeId, hostname }) => nodeIds[hostname] === nodeId)).toBe(true)
  })

  it('is one JSON document', async () => {
    const reply = await server.operator('GET', `${path}/export?format=json`)
    expect(byHost(reply.json<Line[]>())).toEqual(ROWS)
  })

  it('is CSV of RFC 4180 with a column for each one that occurs', async () => {
    const reply = await server.operator('GET', `${path}/export?format=csv&node=${nodeIds['web-3']}`)
    expect(reply.headers.get('content-disposition')).toMatch(
      /^attachment; filename="query-[0-9a-f-]{36}\.csv"$/,
    )
    const [header, line] = reply.text.split(/\r\n(?=[0-9a-f]{8}-|$)/)
    expect(header).toBe('node_id,node_hostname,received_at,name,version,extra')
    expect(line?.split(',').slice(3).join(',')).toBe('"=HYPERLINK(""x"")","a,""b""\r\nc",ü')
    const all = (await server.operator('GET', `${path}/export?format=csv`)).text
    expect(all.split(/\r\n/)[0]?.split(',').toSorted()).toEqual([
      'extra',
      'name',
      'node_hostname',
      'node_id',
      'received_at',
      'version',
    ])
    expect(all.match(/nginx/g)).toHaveLength(3)
  })

  it('makes formulas texts for spreadsheets', async () => {
    const reply = await server.operator('GET', `${path}/export?format=csv&spreadsheet=1`)
    expect(reply.text).toContain(`"'=HYPERLINK(""x"")"`)
  })

  it('of nothing is whole, too', async () => {
    const none = 'column=name&value=none'
    expect((await server.operator('GET', `${path}/export?${none}`)).text).toBe('')
    expect((await server.operator('GET', `${path}/export?format=json&${none}`)).json()).toEqual([])
    expect((await server.operator('GET', `${path}/export?format=csv&${none}`)).text).toBe(
      'node_id,node_hostname,received_at\r\n',
    )
  })

  it.each([
    ['format=xml', 'format'],
    ['spreadsheet=yes', 'spreadsheet'],
    ['node=web-1', 'node'],
    ['column=name', 'value'],
  ])('refuses %s', async (query, pointer) => {
    expect(problemOf(await server.operator('GET', `${path}/export?${query}`))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })

  it('is of a query that is there', async () => {
    const reply = await server.operator('GET', `/environments/default/queries/${crypto.randomUUID()}/export`)
    expect(problemOf(reply).status).toBe(404)
  })
})

describe('groups', () => {
  it('count rows and nodes by the values of columns, most first', async () => {
    expect((await server.operator('GET', `${path}/groups?by=name`)).json()).toEqual({
      items: [
        { values: { name: 'nginx' }, rows: 3, nodes: 2 },
        { values: { name: 'bash' }, rows: 1, nodes: 1 },
        { values: { name: '=HYPERLINK("x")' }, rows: 1, nodes: 1 },
      ].sort((a, b) => b.rows - a.rows) as unknown,
      groups: 3,
      rows: 5,
      nodes: 3,
      complete: true,
      continues: false,
    })
  })

  it('take several columns, a filter, and a limit', async () => {
    const reply = await server.operator(
      'GET',
      `${path}/groups?by=name&by=extra&column=name&value=nginx&limit=1`,
    )
    expect(reply.json()).toEqual({
      items: [{ values: { name: 'nginx', extra: null }, rows: 3, nodes: 2 }],
      groups: 1,
      rows: 3,
      nodes: 2,
      complete: true,
      continues: false,
    })
  })

  it.each([
    ['', 'by'],
    ['by=', 'by'],
    ['by=a&limit=0', 'limit'],
    [Array.from({ length: 9 }, (_, index) => `by=c${index}`).join('&'), 'by'],
  ])('refuse %s', async (query, pointer) => {
    expect(problemOf(await server.operator('GET', `${path}/groups?${query}`))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })
})

describe('results', () => {
  it('are filtered by node and by column', async () => {
    const columns = async (query: string) =>
      (await allPages<Line>(server, `${path}/results?${query}`, 1)).map((line) => line.columns)
    expect(await columns(`node=${nodeIds['web-1']}`)).toEqual(ROWS['web-1'])
    expect(await columns('column=version&value=1.26')).toEqual([ROWS['web-2']?.[1]])
    expect(await columns(`node=${nodeIds['web-1']}&column=version&value=1.26`)).toEqual([])
  })
})
