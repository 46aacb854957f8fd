/** Laptops that sleep, networks that are away, nodes that are deleted: the parts that make it so. */
import { describe, expect, test } from 'vitest'
import { ConfigurationChanges } from '../../../src/simulator/fleet/configuration-changes.ts'
import { Dice } from '../../../src/simulator/fleet/dice.ts'
import { Lid } from '../../../src/simulator/fleet/lid.ts'
import { MemberNetwork } from '../../../src/simulator/fleet/member-network.ts'
import { NodeMap } from '../../../src/simulator/fleet/node-map.ts'
import { OperatorClient } from '../../../src/simulator/fleet/operator-client.ts'
import { PROFILES } from '../../../src/simulator/fleet/profiles.ts'
import { Statistics } from '../../../src/simulator/fleet/statistics.ts'
import type { NoReply, Reply, Sender } from '../../../src/simulator/transport.ts'
import type { Member } from '../../../src/simulator/fleet/member.ts'

const REPLY: Reply = { kind: 'reply', status: 200, body: Buffer.from('{}') }

/** A transport that answers when told to, and breaks off when cut. */
function heldTransport(): Sender & { answer: () => void; posts: number } {
  let resolve: ((reply: Reply | NoReply) => void) | undefined
  return {
    posts: 0,
    answer: () => resolve?.(REPLY),
    post(_url, _headers, _body, stop) {
      this.posts += 1
      return new Promise((settle) => {
        resolve = settle
        const cut = () => settle({ kind: 'no-reply', reason: 'aborted', timedOut: false })
        if (stop?.aborted) cut()
        stop?.addEventListener('abort', cut)
      })
    },
    close: () => undefined,
  }
}

function network(inner: Sender, lid = new Lid(), diesAt = () => false) {
  const made = new MemberNetwork({ inner, lid, diesAt, place: new Dice('place') })
  const post = (stop?: AbortSignal) => made.post('http://x/log', {}, Buffer.from(''), stop)
  return { made, lid, post }
}

describe('a closed lid', () => {
  test('holds everything back until it opens', async () => {
    const lid = new Lid()
    lid.close()
    let isPast = false
    const passing = lid.passed().then(() => {
      isPast = true
    })
    await Promise.resolve()
    expect(isPast).toBe(false)
    lid.open()
    await passing
    expect([isPast, lid.isClosed]).toEqual([true, false])
  })

  test('does not keep a fleet from ending', async () => {
    const lid = new Lid()
    lid.close()
    const stop = new AbortController()
    const passing = lid.passed(stop.signal)
    stop.abort(new Error('over'))
    await expect(passing).rejects.toThrow('over')
  })

  test('breaks the connections that are open, which is seen on waking', async () => {
    const { lid, post } = network(heldTransport())
    const posting = post()
    await Promise.resolve()
    lid.close()
    const early = await Promise.race([posting, new Promise((resolve) => setTimeout(resolve, 10, 'asleep'))])
    expect(early).toBe('asleep')
    lid.open()
    expect(await posting).toMatchObject({ kind: 'no-reply', reason: 'the machine slept' })
  })

  test('sends nothing before it opens', async () => {
    const transport = heldTransport()
    const { lid, post } = network(transport)
    lid.close()
    const posting = post()
    await Promise.resolve()
    expect(transport.posts).toBe(0)
    lid.open()
    await new Promise((resolve) => setImmediate(resolve))
    transport.answer()
    expect(await posting).toEqual(REPLY)
  })
})

describe('a network', () => {
  test('that is away fails at once, and reaches nobody', async () => {
    const transport = heldTransport()
    const { made, post } = network(transport)
    made.isReachable = false
    expect(await post()).toMatchObject({ reason: 'no network' })
    expect(transport.posts).toBe(0)
  })

  test('hides the reply from a process that dies', async () => {
    const transport = heldTransport()
    const { post } = network(transport, new Lid(), () => true)
    const posting = post()
    await new Promise((resolve) => setImmediate(resolve))
    transport.answer()
    expect(await posting).toMatchObject({ reason: 'the process died' })
    expect(transport.posts).toBe(1)
  })

  test('sends nothing for a process that was stopped', async () => {
    const { post } = network(heldTransport())
    expect(await post(AbortSignal.abort())).toMatchObject({ kind: 'no-reply' })
  })
})

describe('nodes', () => {
  test('that were deleted stay their machine’s, and the new one is known too', () => {
    const nodes = new NodeMap(new Map([['old', 1]]))
    expect([nodes.bind('old', 1), nodes.bind('new', 1), nodes.bind('new', 1)]).toEqual([true, true, true])
    expect([nodes.machineOf('old'), nodes.nodeOf(1), nodes.nodesOf(1)]).toEqual([1, 'new', ['old', 'new']])
    expect([...nodes.ids]).toEqual(['new'])
  })

  test('of a machine are no more than one otherwise', () => {
    const nodes = new NodeMap(new Map([['old', 1]]))
    expect([nodes.bind('a', 2), nodes.bind('b', 2), nodes.bind('a', 3), nodes.bind('old', 2)]).toEqual([
      true,
      false,
      false,
      false,
    ])
  })
})

describe('uploads', () => {
  test('that are refused five times in a row and not taken since are wedged', () => {
    const statistics = new Statistics()
    for (let n = 0; n < 5; n += 1) statistics.upload(1, 'result', false)
    for (let n = 0; n < 4; n += 1) statistics.upload(2, 'result', false)
    // Statuses that go through do not free the results.
    statistics.upload(1, 'status', true)
    expect(statistics.wedged).toBe(1)
    statistics.upload(1, 'result', true)
    expect(statistics.wedged).toBe(0)
  })
})

describe('a changed configuration', () => {
  const member = (revision: number, steadySinceMs: number, isOnline = true) =>
    ({ revision, steadySinceMs, isOnline }) as Member

  test('is due where nothing has kept a member from fetching it', async () => {
    const client = new OperatorClient({ url: 'http://127.0.0.1:1', token: 't' })
    const published: unknown[] = []
    client.call = (_method, _path, body) => {
      published.push(body)
      return Promise.resolve('')
    }
    const changes = new ConfigurationChanges({
      client,
      environment: 'e',
      profile: PROFILES.servers,
      tempo: 60,
    })
    await changes.change()
    expect(published).toMatchObject([
      { options: { custom_simulated_revision: 1, logger_tls_compress: true } },
    ])
    const members = [member(1, 0), member(0, 0), member(0, Infinity), member(0, 0, false)]
    expect(changes.judge(members, Date.now() + 10_000)).toEqual({ due: 0, late: 0 })
    expect(changes.judge(members, Date.now() + 60_000)).toEqual({ due: 2, late: 1 })
    client.close()
  })
})
