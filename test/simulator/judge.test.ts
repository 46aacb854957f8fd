import { describe, expect, it } from 'vitest'
import { judgeCarveBlock, judgeCarveStart, judgeEnroll, judgeEnvelope } from '../../src/simulator/judge.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('the common envelope of config, log, read and write (specification 1.4, 1.5)', () => {
  it.each([
    ['an empty body', ''],
    ['an empty object', '{}'],
    ['an object with anything in it', '{"schedule":{}}'],
    ['an empty array', '[]'],
    ['an array', '[1,2]'],
    ['null', 'null'],
    ['true', 'true'],
    ['whitespace after the value', '{} \r\n'],
    ['node_invalid false', '{"node_invalid":false}'],
    ['node_invalid as the text "true"', '{"node_invalid":"true"}'],
    ['node_invalid as the text "1"', '{"node_invalid":"1"}'],
    ['node_invalid as 1', '{"node_invalid":1}'],
    ['node_invalid null', '{"node_invalid":null}'],
    ['an error key further down', '{"options":{"error":"x"}}'],
  ])('takes %s as success', (_, body) => {
    expect(judgeEnvelope(bytes(body)).kind).toBe('ok')
  })

  it.each([
    ['the text retry', 'retry'],
    ['HTML', '<html><body>502</body></html>'],
    ['whitespace alone', ' \n'],
    ['cut off JSON', '{"queries":{'],
    ['a byte order mark', '\uFEFF{}'],
    ['a comment', '{} // done'],
    ['a comma too many', '{"a":1,}'],
    ['garbage after the value', '{}{}'],
    ['an error text', '{"error":"temporarily unavailable"}'],
    ['error null', '{"error":null}'],
    ['error false', '{"error":false}'],
    ['an empty error text', '{"error":""}'],
  ])('takes %s as failure', (_, body) => {
    expect(judgeEnvelope(bytes(body)).kind).toBe('failed')
  })

  it.each([
    ['a string', '"ok"'],
    ['a number', '7'],
  ])('crashes on %s as root', (_, body) => {
    expect(judgeEnvelope(bytes(body)).kind).toBe('crash')
  })

  it('takes node_invalid true as the order to enroll again, before any error', () => {
    expect(judgeEnvelope(bytes('{"node_invalid":true}')).kind).toBe('node-invalid')
    expect(judgeEnvelope(bytes('{"error":"x","node_invalid":true}')).kind).toBe('node-invalid')
  })

  it('gives the answer, without keys if the root is no object', () => {
    expect(judgeEnvelope(bytes('{"a":1}'))).toEqual({ kind: 'ok', reply: { a: 1 } })
    expect(judgeEnvelope(bytes('[1]'))).toEqual({ kind: 'ok', reply: {} })
  })
})

describe('enroll (specification 1.7, 2.1)', () => {
  it.each([
    ['node_key', '{"node_key":"k"}'],
    ['id in its stead', '{"id":"k"}'],
    ['node_key beside node_invalid', '{"node_key":"k","node_invalid":true}'],
    ['node_key beside error', '{"node_key":"k","error":"x"}'],
  ])('takes %s', (_, body) => {
    expect(judgeEnroll(bytes(body))).toEqual({ kind: 'ok', nodeKey: 'k' })
  })

  it.each([
    ['an empty body', ''],
    ['no key', '{"node_invalid":true}'],
    ['an empty key', '{"node_key":""}'],
    ['a number as key', '{"node_key":12345}'],
    ['id beside an empty node_key', '{"node_key":"","id":"k"}'],
    ['an array', '[]'],
    ['text', 'retry'],
  ])('fails on %s', (_, body) => {
    expect(judgeEnroll(bytes(body)).kind).toBe('failed')
  })

  it('crashes on a string', () => {
    expect(judgeEnroll(bytes('"k"')).kind).toBe('crash')
  })
})

describe('carve start (specification 1.7, 2.6)', () => {
  it('takes a session id', () => {
    expect(judgeCarveStart(bytes('{"session_id":"s"}'))).toEqual({ kind: 'ok', sessionId: 's' })
  })

  it.each([
    ['an empty body', ''],
    ['no session id', '{"node_invalid":true}'],
    ['an empty one', '{"session_id":""}'],
    ['a number', '{"session_id":7}'],
  ])('gives up at once on %s', (_, body) => {
    expect(judgeCarveStart(bytes(body)).kind).toBe('aborted')
  })

  it('tries again on text', () => {
    expect(judgeCarveStart(bytes('retry')).kind).toBe('failed')
  })
})

describe('carve continue (specification 1.7, 2.7)', () => {
  it.each(['', '{}', '{"error":"x"}', '{"node_invalid":true}', '"stored"', '7', 'null'])(
    'takes %j as stored',
    (body) => {
      expect(judgeCarveBlock(bytes(body)).kind).toBe('ok')
    },
  )

  it('tries again on text alone', () => {
    expect(judgeCarveBlock(bytes('unknown session')).kind).toBe('failed')
    expect(judgeCarveBlock(bytes(' ')).kind).toBe('failed')
  })
})
