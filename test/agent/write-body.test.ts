import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { WriteBodyReader, type WrittenAnswer } from '../../src/agent/write-body.ts'
import { concatBytes, textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import {
  MAX_ANSWER_BYTES,
  MAX_ANSWERS_BYTES_PER_POST,
  MAX_MESSAGE_CHARACTERS,
} from '../../src/queries/constants.ts'

const KIB = 1_024
const MIB = 1_024 * KIB

/** An answer with its rows as the text that is stored; null where there is none. */
type Read = Omit<WrittenAnswer, 'rows'> & { rows: string | null }

const ANSWER: Omit<Read, 'id'> = {
  status: 0,
  message: '',
  stats: '{}',
  rowCount: 0,
  truncated: false,
  rows: null,
  carves: [],
}

function pushed(body: string | Bytes, chunkBytes = 64 * KIB): WriteBodyReader {
  const bytes = typeof body === 'string' ? utf8(body) : body
  const reader = new WriteBodyReader()
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.slice(at, at + chunkBytes))
  return reader
}

async function read(
  body: string | Bytes,
  chunkBytes?: number,
): Promise<{ nodeKey: string; answers: Read[] }> {
  const reader = pushed(body, chunkBytes)
  expect(reader.end()).toBeNull()
  return { nodeKey: reader.nodeKey, answers: await answersOf(reader) }
}

async function answersOf(reader: WriteBodyReader): Promise<Read[]> {
  const answers = await reader.answers()
  return answers.map(({ rows, ...rest }) => ({
    ...rest,
    rows: rows === null ? null : textOf(gunzipSync(rows)),
  }))
}

/** Spec 9.5. */
const VECTORS: [name: string, body: string, answers: Read[]][] = [
  [
    'W1: a result of 5.8.0 or newer',
    '{"queries":{"q-8f2":[{"name":"Ubuntu","version":"24.04.1 LTS (Noble Numbat)"}]},"statuses":{"q-8f2":0},"messages":{"q-8f2":""},"stats":{"q-8f2":{"wall_time_ms":3,"user_time":1,"system_time":0,"memory":4096}},"node_key":"NK1"}',
    [
      {
        ...ANSWER,
        id: 'q-8f2',
        stats: '{"wall_time_ms":3,"user_time":1,"system_time":0,"memory":4096}',
        rowCount: 1,
        rows: '[{"name":"Ubuntu","version":"24.04.1 LTS (Noble Numbat)"}]',
      },
    ],
  ],
  [
    'W2: an SQL error',
    '{"queries":{"q1":[]},"statuses":{"q1":1},"messages":{"q1":"no such table: foo"},"stats":{"q1":{"wall_time_ms":0,"user_time":0,"system_time":0,"memory":0}},"node_key":"NK1"}',
    [
      {
        ...ANSWER,
        id: 'q1',
        status: 1,
        message: 'no such table: foo',
        stats: '{"wall_time_ms":0,"user_time":0,"system_time":0,"memory":0}',
      },
    ],
  ],
  [
    'W3: denylisted',
    '{"queries":{"q2":[]},"statuses":{"q2":1},"messages":{"q2":"distributed query is denylisted"},"stats":{"q2":{}},"node_key":"NK1"}',
    [{ ...ANSWER, id: 'q2', status: 1, message: 'distributed query is denylisted' }],
  ],
  [
    'W4: 2.11, "" for no rows and statuses as texts',
    '{"queries":{"q3":"","q4":[{"pid":"1"}]},"statuses":{"q3":"0","q4":"0"},"node_key":"NK1"}',
    [
      { ...ANSWER, id: 'q3' },
      { ...ANSWER, id: 'q4', rowCount: 1, rows: '[{"pid":"1"}]' },
    ],
  ],
  [
    'W5: 2.0, neither statuses nor messages',
    '{"queries":{"q5":[{"a":"1"}]},"node_key":"NK1"}',
    [{ ...ANSWER, id: 'q5', rowCount: 1, rows: '[{"a":"1"}]' }],
  ],
  [
    'the key first (members are in no order, spec section 2)',
    '{"node_key":"NK1","stats":{},"statuses":{"q":0},"messages":{"q":"m"},"queries":{"q":[{"a":"1"},{"a":"2"}]}}',
    [{ ...ANSWER, id: 'q', message: 'm', rowCount: 2, rows: '[{"a":"1"},{"a":"2"}]' }],
  ],
  [
    'statuses alone: an answer without rows',
    '{"queries":{},"statuses":{"q":1},"node_key":"NK1"}',
    [{ ...ANSWER, id: 'q', status: 1 }],
  ],
  ['no answers at all', '{"queries":{},"statuses":{},"messages":{},"stats":{},"node_key":"NK1"}', []],
  ['the empty containers of Boost', '{"queries":"","statuses":"","node_key":"NK1"}', []],
  [
    'unknown members, and things that are no rows, are passed over',
    '{"queries":{"q":[1,"x",null,[{"a":"1"}],{"a":"2"}],"n":null,"o":{"a":[{"b":"1"}]}},"more":{"queries":{"z":[]}},"node_key":"NK1"}',
    [
      { ...ANSWER, id: 'q', rowCount: 1, rows: '[{"a":"2"}]' },
      { ...ANSWER, id: 'n' },
      { ...ANSWER, id: 'o' },
    ],
  ],
  [
    'rows go on as they were written: spaces, escapes, big integers, doubled columns',
    '{"queries":{"q":[ { "a" : "\\u0041\\/" , "n":18446744073709551615,"a":1.50e+3} ,{}\n] },"node_key":"NK1"}',
    [
      {
        ...ANSWER,
        id: 'q',
        rowCount: 2,
        rows: '[{ "a" : "\\u0041\\/" , "n":18446744073709551615,"a":1.50e+3},{}]',
      },
    ],
  ],
  [
    'ids called like what every object inherits are ids like others',
    '{"queries":{"constructor":[],"__proto__":[]},"statuses":{},"node_key":"NK1"}',
    [
      { ...ANSWER, id: 'constructor' },
      { ...ANSWER, id: '__proto__' },
    ],
  ],
  [
    'ids and keys with escapes are read',
    '{"queries":{"q\\u002d1":[{"a":"1"}]},"statuses":{"q-1":0},"node_key":"N\\u004b1"}',
    [{ ...ANSWER, id: 'q-1', rowCount: 1, rows: '[{"a":"1"}]' }],
  ],
]

describe('a distributed write (spec 2.5)', () => {
  it.each(VECTORS)('%s', async (_name, body, answers) => {
    expect(await read(body)).toEqual({ nodeKey: 'NK1', answers })
  })

  it.each(VECTORS)('in any pieces: %s', async (_name, body, answers) => {
    for (let chunkBytes = 1; chunkBytes <= 12; chunkBytes += 1) {
      expect(await read(body, chunkBytes)).toEqual({ nodeKey: 'NK1', answers })
    }
    const bytes = utf8(body)
    for (let at = 0; at <= bytes.length; at += 1) {
      const reader = new WriteBodyReader()
      reader.push(bytes.slice(0, at))
      reader.push(bytes.slice(at))
      expect(reader.end()).toBeNull()
      expect([reader.nodeKey, (await reader.answers()).map(({ rowCount }) => rowCount)]).toEqual([
        'NK1',
        answers.map(({ rowCount }) => rowCount),
      ])
    }
  })

  it('keeps bytes of rows that are not UTF-8', async () => {
    const row = concatBytes([utf8('{"path":"/tmp/'), new Uint8Array([0xff, 0xfe]), utf8('"}')])
    const reader = pushed(concatBytes([utf8('{"queries":{"q":['), row, utf8(']}}')]), 3)
    expect(reader.end()).toBeNull()
    const [answer] = await reader.answers()
    expect(new Uint8Array(gunzipSync(answer?.rows ?? row))).toEqual(concatBytes([utf8('['), row, utf8(']')]))
  })
})

describe('a status', () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['"0"', 0],
    ['"12"', 12],
    ['"-1"', -1],
    ['null', 0],
    ['""', 1],
    ['"x"', 1],
    ['1.5', 1],
    ['true', 1],
    ['{}', 1],
    ['9007199254740993', 1],
  ])('of %s is read as %i', async (text, status) => {
    const { answers } = await read(`{"queries":{"q":[]},"statuses":{"q":${text}}}`)
    expect(answers[0]?.status).toBe(status)
  })
})

describe('messages, stats and keys of odd shapes', () => {
  it('are as good as absent', async () => {
    const { nodeKey, answers } = await read(
      '{"queries":{"q":[]},"statuses":[0],"messages":{"q":7},"stats":{"q":[1]},"node_key":7}',
    )
    expect([nodeKey, answers]).toEqual(['', [{ ...ANSWER, id: 'q' }]])
  })

  it('are cut or left out where they are longer than is kept', async () => {
    const long = 'm'.repeat(MAX_MESSAGE_CHARACTERS + 1)
    const { answers } = await read(
      `{"queries":{"q":[]},"messages":{"q":"${long}"},"stats":{"q":{"x":"${long}"}}}`,
    )
    expect(answers).toEqual([{ ...ANSWER, id: 'q', message: long.slice(1) }])
  })

  it('of a mebibyte and more are not held', async () => {
    const { answers } = await read(`{"queries":{"q":[]},"messages":{"q":"${'m'.repeat(MIB)}"}}`)
    expect(answers).toEqual([{ ...ANSWER, id: 'q' }])
    expect((await read(`{"queries":{},"node_key":"${'k'.repeat(2_000)}"}`)).nodeKey).toBe('')
  })
})

describe('limits', () => {
  /** A row of exactly so many bytes. */
  function row(bytes: number): string {
    return `{"c":"${'x'.repeat(bytes - 8)}"}`
  }

  it('one answer keeps rows up to its limit; the rest is counted out and flagged', async () => {
    const rows = [row(MAX_ANSWER_BYTES - 10), row(10)]
    const whole = await read(`{"queries":{"q":[${rows.join(',')}]}}`)
    expect(whole.answers).toMatchObject([{ rowCount: 2, truncated: false }])
    const over = await read(`{"queries":{"q":[${rows.join(',')},{"d":"1"}],"r":[{"e":"1"}]}}`)
    expect(over.answers).toMatchObject([
      { id: 'q', rowCount: 2, truncated: true },
      { id: 'r', rowCount: 1, truncated: false },
    ])
  })

  it('once a row is left out no later one is kept: what is kept is a beginning, never a selection', async () => {
    const { answers } = await read(`{"queries":{"q":[{"a":"1"},${row(MAX_ANSWER_BYTES)},{"a":"3"}]}}`)
    expect(answers).toMatchObject([{ rowCount: 1, truncated: true, rows: '[{"a":"1"}]' }])
  })

  it('all answers of one POST have a limit together', async () => {
    const full = `[${row(MAX_ANSWER_BYTES)}]`
    const count = MAX_ANSWERS_BYTES_PER_POST / MAX_ANSWER_BYTES
    const queries = Array.from({ length: count }, (_unused, index) => `"q${index}":${full}`)
    const reader = pushed(`{"queries":{${queries.join(',')},"over":[{"a":"1"}],"none":[]},"node_key":"NK1"}`)
    expect(reader.end()).toBeNull()
    expect(reader.nodeKey).toBe('NK1')
    const answers = await reader.answers()
    expect(answers.map(({ rowCount, truncated }) => [rowCount, truncated])).toEqual([
      ...queries.map(() => [1, false]),
      [0, true],
      [0, false],
    ])
  })
})

describe('carves that rows of a carves query name (spec 6.1)', () => {
  it('are found by their GUID, with the path', async () => {
    const { answers } = await read(
      '{"queries":{"q":[{"time":"1788866000","path":"/etc/hosts","status":"SCHEDULED","carve_guid":"f0e1d2c3-7a6b-4c5d-9e8f-001122334455","carve":"1"},{"carve_guid":"b"},{"carve_guid":""},{"carve_guid":7},{"path":"/x"}]}}',
    )
    expect(answers[0]?.carves).toEqual([
      { carveId: 'f0e1d2c3-7a6b-4c5d-9e8f-001122334455', path: '/etc/hosts' },
      { carveId: 'b', path: '' },
    ])
  })

  it('are looked for in the first sixteen rows, and not in huge ones', async () => {
    const rows = Array.from({ length: 20 }, (_unused, index) => `{"carve_guid":"g${index}"}`)
    const { answers } = await read(`{"queries":{"q":[${rows.join(',')}]}}`)
    expect(answers[0]?.carves).toHaveLength(16)
    const huge = await read(`{"queries":{"q":[{"carve_guid":"g","x":"${'x'.repeat(17_000)}"}]}}`)
    expect(huge.answers[0]?.carves).toEqual([])
  })
})

describe('a body that is no JSON object', () => {
  it.each(['', '{', '{"queries":{"q":[{"a":"1"}', '{"queries":{}}x', 'node_key=abc', '{"queries":{"q":[}}'])(
    '%j has a fault',
    (body) => {
      expect(pushed(body).end()).not.toBeNull()
      expect(pushed(body, 1).end()).not.toBeNull()
    },
  )

  it('still tells the key that was read before the fault', () => {
    const reader = pushed('{"node_key":"NK1","queries":{"q":[}', 5)
    expect(reader.end()).toEqual({ offset: 34, detail: expect.any(String) as string })
    expect(reader.nodeKey).toBe('NK1')
  })

  it.each(['[]', '"x"', 'null', '7', '[{"node_key":"NK1","queries":{"q":[]}}]'])(
    '%s is JSON without answers and without a key',
    async (body) => {
      expect(await read(body)).toEqual({ nodeKey: '', answers: [] })
    },
  )
})
