import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SimulatedAgent } from '../../src/simulator/agent.ts'
import { checkServer } from '../../src/simulator/self-check.ts'
import type { ScriptedServer } from './scripted-server.ts'
import { BASE, startScriptedServer } from './scripted-server.ts'

let server: ScriptedServer
beforeEach(async () => {
  server = await startScriptedServer()
})
afterEach(() => server.close())

/** Runs an agent with waits a thousand times as short, for a moment. */
async function runFor(durationMs: number): Promise<SimulatedAgent> {
  const stop = new AbortController()
  const sleep = async (waitMs: number, signal?: AbortSignal) => {
    await pause(waitMs / 1000, undefined, { signal })
  }
  const agent = new SimulatedAgent({ url: server.url, enrollSecret: 's', sleep })
  setTimeout(() => stop.abort(), durationMs)
  await agent.run(stop.signal)
  agent.close()
  return agent
}

describe('the timed loops', () => {
  it('call every endpoint and end when told to', async () => {
    server.on.set(`${BASE}/config`, () => ({
      json: { schedule: { time: { query: 'SELECT * FROM time', interval: 1, snapshot: true } } },
    }))
    const queries = { a: "SELECT * FROM carves WHERE carve=1 AND path='/etc/hosts'" }
    server.next.set(`${BASE}/distributed/read`, [{ json: { queries } }])
    const { calls } = (await runFor(600)).counters
    for (const [endpoint, call] of Object.entries(calls)) expect(call.ok, endpoint).toBeGreaterThan(0)
  })

  it('poll sooner while accelerated', async () => {
    const calm = (await runFor(300)).counters.calls.read.ok
    server.on.set(`${BASE}/distributed/read`, () => ({ json: { accelerate: 600 } }))
    const accelerated = (await runFor(300)).counters.calls.read.ok
    expect(accelerated).toBeGreaterThan(2 * calm)
  })

  it('end like osqueryd where no key is to be had at the start', async () => {
    server.on.set(`${BASE}/enroll`, () => ({ raw: 'retry' }))
    const sleep = async () => undefined
    const agent = new SimulatedAgent({ url: server.url, enrollSecret: 's', sleep })
    await agent.run(new AbortController().signal)
    agent.close()
    expect(agent.counters.calls.log.sent).toBe(0)
    // One round at the start, and one more for each try to get a configuration.
    expect(agent.counters.calls.enroll.sent).toBe(12 * (1 + agent.counters.calls.config.sent))
  })

  it('end while a request hangs and while a retry waits', async () => {
    server.on.set(`${BASE}/config`, () => 'never')
    await runFor(50)
    server.on.set(`${BASE}/enroll`, () => ({ raw: 'retry' }))
    await runFor(50)
  })
})

describe('one pass through every endpoint', () => {
  const check = (url = server.url) => {
    const sleep = async () => undefined
    return checkServer(new SimulatedAgent({ url, enrollSecret: 's', sleep }), 'package.json')
  }

  it('is right with a server that behaves', async () => {
    const steps = await check()
    expect(steps.map((step) => [step.endpoint, step.isOk])).toEqual([
      ['enroll', true],
      ['config', true],
      ['log (result)', true],
      ['log (status)', true],
      ['read', true],
      ['write', true],
      ['carveStart', true],
      ['carveBlock', true],
    ])
  })

  it.each([
    ['/config', ['config']],
    ['/log', ['log (result)', 'log (status)']],
    ['/distributed/read', ['read']],
    ['/distributed/write', ['write']],
    ['/carve/begin', ['carveStart', 'carveBlock']],
    ['/carve/block', ['carveBlock']],
  ])('names what failed: %s', async (path, failed) => {
    server.on.set(BASE + path, () => ({ raw: 'retry', status: 503 }))
    const steps = await check()
    expect(steps.filter((step) => !step.isOk).map((step) => step.endpoint)).toEqual(failed)
  })

  it('stops when the server is not there', async () => {
    expect(await check('http://127.0.0.1:1')).toMatchObject([{ endpoint: 'enroll', isOk: false }])
  })
})
