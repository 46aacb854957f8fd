import { describe, expect, it } from 'vitest'
import '../support/workerd-crypto.ts'
import { makeNodeKey } from '../../src/agent/node-key.ts'
import { loadSigningKeys } from '../../src/agent/signing-keys.ts'
import { SIGNING_KEYS } from './runtime.ts'
import { faultOf, Witness } from './witness.ts'

const keys = await loadSigningKeys(SIGNING_KEYS)
const IDS = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const

function reply(text: string, status = 200) {
  return { kind: 'reply' as const, status, body: Buffer.from(text) }
}

function keyOf(nodeId: string, ordinal: number): Promise<string> {
  return makeNodeKey(keys, {
    environmentId: '33333333-3333-4333-8333-333333333333',
    nodeId,
    ordinal,
    platformFamily: 'linux',
    splayBucket: 0,
    issuedAtS: 1,
  })
}

describe('a reply is wrong', () => {
  it.each([
    ['empty, whatever the status', '', 500],
    ['empty and 200', '', 200],
    ['a failure that is JSON', '{"error_code":1101}', 500],
    ['a failure that says node_invalid', '{"node_invalid":true}', 503],
    ['a string, which crashes osqueryd', '"retry"', 200],
    ['no object', '[]', 200],
  ])('that is %s', (_what, text, status) => {
    expect(faultOf('log', reply(text, status))).not.toBeNull()
  })

  it.each([
    ['an answer', '{}', 200],
    ['node_invalid', '{"node_invalid":true}', 200],
    ['retry', 'retry', 503],
  ])('but not as %s', (_what, text, status) => {
    expect(faultOf('log', reply(text, status))).toBeNull()
  })
})

describe('a witness', () => {
  const invalid = reply('{"node_invalid":true}')

  it('sees who is knocked out, by header or body, and not who has no key or was deleted or disowned', async () => {
    const witness = new Witness(keys, (nodeId) => nodeId === IDS[1])
    const [good, deleted] = [await keyOf(IDS[0], 0), await keyOf(IDS[1], 1)]
    const say = (key: string) =>
      witness.note({
        endpoint: 'read',
        headers: {},
        body: Buffer.from(JSON.stringify({ node_key: key })),
        reply: invalid,
      })
    say('')
    say(deleted)
    witness.disown('forged')
    say('forged')
    await witness.settled()
    expect(witness.knockedOutCount).toBe(0)
    say(good)
    witness.note({
      endpoint: 'log',
      headers: { Authorization: `NodeKey ${good}` },
      body: Buffer.from('{}'),
      reply: invalid,
    })
    await witness.settled()
    expect(witness.knockedOutCount).toBe(2)
    witness.excuse(IDS[0])
    expect(witness.knockedOutCount).toBe(0)
  })

  it('sees two nodes with one ordinal, and one node with two', async () => {
    const witness = new Witness(keys)
    const enroll = async (nodeId: string, ordinal: number) => {
      const text = JSON.stringify({ node_key: await keyOf(nodeId, ordinal) })
      witness.note({ endpoint: 'enroll', headers: {}, body: Buffer.from('{}'), reply: reply(text) })
      await witness.settled()
    }
    await enroll(IDS[0], 0)
    await enroll(IDS[0], 0)
    expect(witness.ordinalConflicts).toEqual([])
    await enroll(IDS[1], 0)
    await enroll(IDS[0], 2)
    expect(witness.ordinalConflicts).toHaveLength(2)
  })

  it('keeps the hash of an upload whose every block was acknowledged', () => {
    const witness = new Witness(keys)
    const note = (endpoint: 'carveStart' | 'carveBlock', body: object, answer: string) =>
      witness.note({ endpoint, headers: {}, body: Buffer.from(JSON.stringify(body)), reply: reply(answer) })
    note('carveStart', { block_count: 2 }, '{"session_id":"s"}')
    note('carveBlock', { session_id: 's', block_id: 0, data: btoa('ab') }, '{}')
    expect(witness.acknowledgedCarves()).toEqual([])
    note('carveBlock', { session_id: 's', block_id: 1, data: btoa('c') }, '{}')
    // SHA-256 of "abc" (FIPS 180-2, B.1).
    expect(witness.acknowledgedCarves()[0]).toMatch(/^ba7816bf8f01cfea/)
  })
})
