/** Configurations: made compact without a change in meaning or in order, and compiled to the same bytes every time. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compactJson } from '../../src/config/compact.ts'
import type { EnvironmentRows } from '../../src/db/snapshot-rows.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { JsonScanner } from '../../src/lib/json-scanner.ts'
import { compileEnvironment } from '../../src/snapshot/compile.ts'
import { check } from './check.ts'
import { jsonText, objectText } from './json-text.ts'

/** The leaves of a JSON text in their order of writing, each as it was written. */
function leavesOf(text: string): string[] {
  const leaves: string[] = []
  const scanner = new JsonScanner({
    enter: (_path, kind) => (kind === 'object' || kind === 'array' ? 'descend' : { maxBytes: 1_000_000 }),
    captured: (path, { bytes }) => void leaves.push(`${JSON.stringify(path)}=${textOf(bytes ?? utf8(''))}`),
    left: (path) => void leaves.push(JSON.stringify(path)),
  })
  scanner.push(utf8(text))
  expect(scanner.end()).toBeNull()
  return leaves
}

describe('a document without its space', () => {
  it('says the same, in the same order, its numbers and texts as they were written', () =>
    check(
      fc.property(jsonText, fc.constantFrom('', ' ', '\n\t'), ({ text }, space) => {
        const document = space + text + space
        const compact = compactJson(document)
        expect(JSON.parse(compact)).toEqual(JSON.parse(document))
        expect(leavesOf(compact)).toEqual(leavesOf(text))
        expect(compactJson(compact)).toBe(compact)
        expect(compact.length).toBeLessThanOrEqual(document.length)
      }),
      1_000,
    ))

  it('is the same text however it was spread out', () =>
    check(
      fc.property(fc.json(), fc.integer({ min: 0, max: 4 }), (text, indent) => {
        const value: unknown = JSON.parse(text)
        expect(compactJson(JSON.stringify(value, null, indent))).toBe(JSON.stringify(value))
      }),
      500,
    ))
})

const ordinals = fc.uniqueArray(fc.integer({ min: 0, max: 200_000 }), { maxLength: 12 })

const rows: fc.Arbitrary<EnvironmentRows> = fc.record({
  environment: fc.record({
    id: fc.uuid(),
    name: fc.constant('default'),
    revision: fc.nat(),
    minimumIssuedAtS: fc.nat(),
    accelerateShare: fc.double({ min: 0, max: 1, noNaN: true }),
    retention: fc.constantFrom('{}', '{"status":7}'),
    builtIn: fc.constant('{}'),
    intervals: fc.constant('{}'),
  }),
  configuration: fc.record({ version: fc.nat(), document: objectText.map(({ text }) => text) }),
  queries: fc.uniqueArray(
    fc.record({
      number: fc.nat({ max: 100 }),
      id: fc.uuid(),
      kind: fc.constantFrom('query', 'carve'),
      sql: fc.string(),
      shards: fc.integer({ min: 1, max: 128 }),
      expiresAtMs: fc.nat(),
      logResults: fc.constantFrom(0, 1),
      discovery: fc.option(fc.string()),
      chunks: ordinals.map((targets) => NodeSet.of(targets).chunks()),
    }),
    { maxLength: 3, selector: ({ number }) => number },
  ),
  layers: fc.constant([]),
  held: fc.constant([]),
  pausedQueries: fc.constant([]),
  revokedOrdinals: ordinals,
  nodeCount: fc.nat(),
})

describe('compiling an environment', () => {
  it('gives the same names and bytes for the same input, in whatever order D1 hands rows of sets out', () =>
    check(
      fc.asyncProperty(rows, async (given) => {
        const turned: EnvironmentRows = {
          ...given,
          revokedOrdinals: given.revokedOrdinals.toReversed(),
          queries: given.queries.map((query) => ({ ...query, chunks: query.chunks.toReversed() })),
        }
        expect(await compileEnvironment(turned)).toEqual(await compileEnvironment(given))
      }),
      200,
    ))

  it('serves the document byte for byte, and what else changes does not change its name', () =>
    check(
      fc.asyncProperty(rows, rows, async (given, other) => {
        const one = await compileEnvironment(given)
        const [name = ''] = one.configurationParts
        expect(textOf(one.parts.get(name) ?? utf8(''))).toBe(given.configuration.document)
        const two = await compileEnvironment({ ...other, configuration: given.configuration })
        expect(two.configurationParts).toEqual(one.configurationParts)
        const three = await compileEnvironment({ ...given, configuration: other.configuration })
        const isSame = other.configuration.document === given.configuration.document
        expect(three.configurationParts[0] === name).toBe(isSame)
      }),
      200,
    ))
})
