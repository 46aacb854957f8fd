/** The verifier, shown to fail on each thing that may be wrong with what a server gives back. */
import { describe, expect, test } from 'vitest'
import { AnswerLedger } from '../../../src/simulator/fleet/answer-ledger.ts'
import { LineLedger } from '../../../src/simulator/fleet/line-ledger.ts'
import { NodeMap } from '../../../src/simulator/fleet/node-map.ts'
import { verifyAnswers } from '../../../src/simulator/fleet/verify-answers.ts'
import { verifyLines } from '../../../src/simulator/fleet/verify-lines.ts'

async function* pagesOf(items: readonly string[]): AsyncGenerator<string> {
  for (let i = 0; i < items.length; i += 2)
    yield `{"items":[${items.slice(i, i + 2).join(',')}],"nextCursor":${i + 2 < items.length ? '"c"' : 'null'}}`
}

describe('lines', () => {
  // Machine 1 is node A, machine 2 is node B; the big number would not survive JSON.parse.
  const texts = ['{"n":1}', '{"n":12345678901234567890}', '{"n":3}']
  const item = (line: string, nodeId = 'A', second = 0) =>
    `{"eventId":"e","nodeId":"${nodeId}","type":"snapshot","receivedAt":"2026-11-22T00:00:0${second}.000Z","line":${line}}`

  function sent(): LineLedger {
    const ledger = new LineLedger()
    for (const [machine, lines] of [
      [1, texts],
      [2, ['{"n":4}']],
    ] as const) {
      const batch = {
        kind: 'result' as const,
        lines: lines.map((text) => ({ kind: 'result' as const, text })),
        oversized: [],
      }
      ledger.note('sent', batch, machine)
      ledger.note('acknowledged', batch, machine)
    }
    return ledger
  }
  const verified = async (...items: string[]) => {
    const { missing, outOfOrder, sightings } = await verifyLines(pagesOf(items), sent(), new NodeMap())
    return { missing, outOfOrder, ...sightings }
  }
  const all = [...texts.map((text) => item(text)), item('{"n":4}', 'B')]
  const good = { missing: 0, outOfOrder: 0, expected: 4, unexplained: 0, doubled: 0, 'wrong-node': 0 }

  test('that are all there pass', async () => expect(await verified(...all)).toEqual(good))
  test('withheld', async () =>
    expect(await verified(...all.slice(1))).toEqual({ ...good, expected: 3, missing: 1 }))
  test('doubled', async () =>
    expect(await verified(...all, item(texts[1] ?? ''))).toEqual({ ...good, doubled: 1 }))
  test('that nobody sent', async () =>
    expect(await verified(...all, item('{"n":5}'))).toEqual({ ...good, unexplained: 1 }))
  test('rewritten although they mean the same', async () =>
    expect(await verified(item('{ "n":1}'), ...all.slice(1))).toEqual({
      ...good,
      expected: 3,
      missing: 1,
      unexplained: 1,
    }))
  test('under another machine’s node', async () =>
    expect(await verified(...all.slice(0, 2), item(texts[2] ?? '', 'B'), item('{"n":4}', 'B'))).toMatchObject(
      {
        'wrong-node': 1,
      },
    ))
  test('out of order', async () =>
    expect(await verified(...all.slice(0, 3), item('{"n":4}', 'B', 9))).toEqual({ ...good, outOfOrder: 1 }))
})

describe('answers', () => {
  const nodes = new NodeMap()
  nodes.bind('A', 1)
  nodes.bind('B', 2)
  const row = { uuid: 'u', n: '12345678901234567890' }

  function opened() {
    const ledger = new AnswerLedger()
    const query = ledger.open({ id: 'q', sql: 'SELECT', openedAtMs: 0, expected: [1, 2] })
    const answer = { rows: [row, { uuid: 'v', n: '2' }], status: 0 as const, message: '', stats: {} }
    for (const stage of ['sent', 'accepted'] as const) {
      ledger.note(stage, 'SELECT', answer, 1, 10)
      ledger.note(stage, 'SELECT', { ...answer, rows: [], status: 1, message: 'no such table' }, 2, 20)
    }
    return { ledger, query }
  }
  const answerOf = (nodeId: string, status: string, message: string, rowCount: number) =>
    JSON.stringify({ nodeId, status, message, rowCount })
  const answers = [answerOf('A', 'ok', '', 2), answerOf('B', 'failed', 'no such table', 0)]
  // In another order than they were sent in: that is no difference.
  const results = [
    '{"nodeId":"A","columns":{"uuid":"v","n":"2"}}',
    `{"nodeId":"A","columns":${JSON.stringify(row)}}`,
  ]
  const verified = (
    lists: { answers?: string[]; results?: string[]; answered?: number },
    { query } = opened(),
  ) =>
    verifyAnswers(
      query,
      {
        answers: pagesOf(lists.answers ?? answers),
        results: pagesOf(lists.results ?? results),
        answered: lists.answered ?? 2,
      },
      nodes,
      async () => undefined,
    )
  const good = {
    answers: 2,
    accepted: 2,
    missing: 0,
    changed: 0,
    doubled: 0,
    unexplained: 0,
    silent: 0,
    miscounted: 0,
  }

  test('that are all there pass', async () => expect(await verified({})).toEqual(good))
  test('withheld', async () =>
    expect(await verified({ answers: answers.slice(0, 1), answered: 1 })).toMatchObject({ missing: 1 }))
  test('doubled', async () =>
    expect(await verified({ answers: [...answers, ...answers.slice(1)] })).toMatchObject({ doubled: 1 }))
  test('of a node that sent none', async () =>
    expect(await verified({ answers: [...answers, answerOf('C', 'ok', '', 0)], answered: 3 })).toMatchObject({
      unexplained: 1,
    }))
  test('with a row too few, too many, or another one', async () => {
    for (const rows of [
      results.slice(1),
      [...results, ...results.slice(1)],
      [results[0] ?? '', results[0] ?? ''],
    ])
      expect(await verified({ results: rows })).toMatchObject({ changed: 1 })
  })
  test('whose failure became a success', async () =>
    expect(
      await verified({ answers: [answers[0] ?? '', answerOf('B', 'ok', 'no such table', 0)] }),
    ).toMatchObject({ changed: 1 }))
  test('miscounted', async () => expect(await verified({ answered: 3 })).toMatchObject({ miscounted: 1 }))

  test('that an online machine never gave', async () => {
    const query = new AnswerLedger().open({ id: 'q', sql: 'S', openedAtMs: 0, expected: [1, 2] })
    const lists = { answers: [], results: [], answered: 0 }
    expect(await verified(lists, { ...opened(), query })).toMatchObject({ silent: 2 })
  })

  test('are not owed by a machine that went away', () => {
    const ledger = new AnswerLedger()
    const query = ledger.open({ id: 'q', sql: 'S', openedAtMs: 0, expected: [1, 2] })
    ledger.excuse(1)
    expect([...query.expected]).toEqual([2])
  })

  test('are not owed where nobody had the time', () => {
    const ledger = new AnswerLedger()
    const early = ledger.open({ id: 'a', sql: 'A', openedAtMs: 100, expected: [1] })
    const late = ledger.open({ id: 'b', sql: 'B', openedAtMs: 300, expected: [1] })
    ledger.expectUntil(200)
    const later = ledger.open({ id: 'c', sql: 'C', openedAtMs: 400, expected: [1] })
    expect([early, late, later].map(({ expected }) => expected.size)).toEqual([1, 0, 0])
  })

  test('may be missing of a machine whose node was deleted before it answered', async () => {
    const { ledger, query } = opened()
    const other = ledger.open({ id: 'r', sql: 'OTHER', openedAtMs: 0, expected: [1] })
    ledger.forgive(1)
    for (const stage of ['sent', 'accepted'] as const)
      ledger.note(stage, 'OTHER', { rows: [], status: 0, message: '', stats: {} }, 1, 5)
    const lists = { answers: [], results: [], answered: 0 }
    expect(await verified(lists, { ledger, query: other })).toMatchObject({ missing: 0, silent: 0 })
    // What it had answered before is owed all the same.
    expect(await verified(lists, { ledger, query })).toMatchObject({ missing: 2 })
  })

  test('that come before the operator knows the query count', () => {
    const ledger = new AnswerLedger()
    ledger.note('sent', 'S', { rows: [], status: 0, message: '', stats: {} }, 1, 5)
    const { answers: early } = ledger.open({ id: 'q', sql: 'S', openedAtMs: 0, expected: [1] })
    expect([...early.keys()]).toEqual([1])
  })
})
