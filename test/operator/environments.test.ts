import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type Reply, type TestServer } from '../support/harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Problem {
  status: number
  title: string
  detail: string
  errors: { pointer: string; detail: string }[]
}

function pointersOf(reply: Reply): string[] {
  expect(reply.headers.get('content-type')).toBe('application/problem+json')
  const { status, errors } = reply.json<Problem>()
  expect(status).toBe(reply.status)
  return errors.map(({ pointer }) => pointer)
}

describe('environments', () => {
  it('makes an environment that is live at once and shows it by id, UUID in capitals and name', async () => {
    const made = await server.operator('POST', '/environments', { name: 'berlin' })
    expect(made.status).toBe(201)
    const environment = made.json<{ id: string }>()
    expect(environment).toMatchObject({ name: 'berlin', revision: 1, nodeCount: 0, live: true })
    for (const reference of [environment.id, environment.id.toUpperCase(), 'berlin']) {
      const found = await server.operator('GET', `/environments/${reference}`)
      expect(found.json()).toMatchObject({ id: environment.id, name: 'berlin' })
    }
  })

  it('takes over the UUID that agents know from osctrl', async () => {
    const uuid = 'F47AC10B-58CC-4372-A567-0E02B2C3D479'
    const made = await server.operator('POST', '/environments', { name: 'imported', uuid })
    expect(made.json()).toMatchObject({ id: uuid.toLowerCase() })
    const again = await server.operator('POST', '/environments', { name: 'imported-2', uuid })
    expect([again.status, pointersOf(again)]).toEqual([409, ['/uuid']])
  })

  it('refuses a name that is taken', async () => {
    const reply = await server.operator('POST', '/environments', { name: 'default' })
    expect([reply.status, pointersOf(reply)]).toEqual([409, ['/name']])
  })

  it.each([
    [{ name: 'Berlin' }, ['/name']],
    [{ name: '' }, ['/name']],
    [{ name: '-x' }, ['/name']],
    [{ name: 'a'.repeat(64) }, ['/name']],
    [{ name: 'api' }, ['/name']],
    [{ name: 'mcp' }, ['/name']],
    [{ name: 'f47ac10b-58cc-4372-a567-0e02b2c3d470' }, ['/name']],
    [{ name: 5 }, ['/name']],
    [{}, ['/name']],
    [{ name: 'x', uuid: 'no' }, ['/uuid']],
    [{ name: 'x', 'unknown/key': 1 }, ['/unknown~1key']],
    ['[]', ['']],
    ['null', ['']],
  ])('refuses %j and points at the fault', async (body, pointers) => {
    const reply = await server.operator('POST', '/environments', body)
    expect([reply.status, pointersOf(reply)]).toEqual([422, pointers])
  })

  it.each(['{"name":', '', 'x', new Uint8Array([0x22, 0xff, 0x22])])(
    'answers 400 to a body that is not JSON: %j',
    async (body) => {
      const reply = await server.operator('POST', '/environments', body)
      expect([reply.status, pointersOf(reply)]).toEqual([400, []])
    },
  )

  it('answers 413 to a body over the limit', async () => {
    const reply = await server.operator('POST', '/environments', { name: 'x'.repeat(300_000) })
    expect([reply.status, pointersOf(reply)]).toEqual([413, []])
  })

  it('reads JSON whatever the Content-Type says', async () => {
    for (const contentType of ['application/x-www-form-urlencoded', 'text/plain']) {
      const reply = await server.harness.fetch('/api/v1/environments', {
        method: 'POST',
        headers: { authorization: `bearer ${OPERATOR_TOKEN}`, 'content-type': contentType },
        body: JSON.stringify({ name: 'default' }),
      })
      expect(reply.status).toBe(409)
    }
  })

  it('lists newest first, page by page', async () => {
    const seen: string[] = []
    let cursor = ''
    do {
      const page = await server.operator('GET', `/environments?limit=1${cursor}`)
      const { items, nextCursor } = page.json<{ items: { name: string }[]; nextCursor: string | null }>()
      expect(items).toHaveLength(1)
      seen.push(...items.map(({ name }) => name))
      cursor = nextCursor === null ? '' : `&cursor=${nextCursor}`
    } while (cursor !== '')
    expect(seen).toEqual(['imported', 'berlin', 'default'])
  })

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['limit=', 'limit'],
    ['cursor=x', 'cursor'],
    ['cursor=', 'cursor'],
    ['cursor=WyJhIl0', 'cursor'],
  ])('refuses the page %s', async (query, pointer) => {
    const reply = await server.operator('GET', `/environments?${query}`)
    expect([reply.status, pointersOf(reply)]).toEqual([422, [pointer]])
  })

  it('answers 404 for an environment that is not there', async () => {
    for (const reference of ['nowhere', crypto.randomUUID(), '%20', "x'--"]) {
      const reply = await server.operator('GET', `/environments/${reference}`)
      expect([reply.status, pointersOf(reply)]).toEqual([404, []])
    }
  })
})
