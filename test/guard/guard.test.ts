/** Design section 2: whatever the app does, an agent sees the app's meant answer or `retry`, and never an empty body. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestHarness } from 'wrangler'

const harness = createTestHarness({
  workers: [
    { configPath: './src/guard/wrangler.toml' },
    {
      config: {
        name: 'osquery-edge',
        main: './test/guard/scripted-app.ts',
        compatibility_date: '2026-10-23',
      },
    },
  ],
})

beforeAll(async () => void (await harness.listen()))
afterAll(() => harness.close())

async function post(script: string, body = '{}', headers: Record<string, string> = {}) {
  const response = await harness.fetch(`/${script}`, { method: 'POST', body, headers, redirect: 'manual' })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

describe('what the app meant passes unchanged', () => {
  test('an answer, with its headers', async () => {
    const reply = await post('answer')
    expect(reply).toMatchObject({ status: 200, text: '{"node_key":"k"}' })
    expect(reply.headers.get('x-more')).toBe('kept')
    expect(reply.headers.get('content-type')).toBe('application/json')
  })

  test("the app's own retry", async () => {
    expect(await post('retry')).toMatchObject({ status: 503, text: 'retry' })
  })

  test('the request: method, headers and body', async () => {
    const body = 'b'.repeat(2_000_000)
    const reply = await post('echo', body, { authorization: 'NodeKey abc', 'content-encoding': 'gzip' })
    expect(JSON.parse(reply.text)).toMatchObject({
      method: 'POST',
      bytes: body.length,
      headers: { authorization: 'NodeKey abc', 'content-encoding': 'gzip' },
    })
  })

  test('a long answer that comes as a stream', async () => {
    expect((await post('marked-stream')).text).toHaveLength(3_000_000)
  })
})

describe('everything else becomes retry', () => {
  test.each([
    'throw',
    'never',
    'unmarked',
    'unmarked-error',
    'html',
    'not-modified',
    'redirect',
    'empty',
    'marked-not-modified',
    'marked-no-content',
    'marked-empty',
    'marked-empty-stream',
    'broken-stream',
    'unknown',
  ])('%s', async (script) => {
    const reply = await post(script)
    expect(reply).toMatchObject({ status: 503, text: 'retry' })
    expect(reply.headers.get('content-type')).toBe('text/plain')
  })

  test('an app that does not answer, before the agent gives up at 16 s', async () => {
    const startedAtMs = Date.now()
    expect(await post('hang')).toMatchObject({ status: 503, text: 'retry' })
    expect(Date.now() - startedAtMs).toBeLessThan(16_000)
  })
})
