/** What a version would change, and for how many nodes: counted by the sets that layers go by, as they are now. */

import { z } from '@hono/zod-openapi'
import { asOneValue, type VersionContent } from '../config/content.ts'
import { differenceOf } from '../config/difference.ts'
import { distinct as distinctHeld, heldOf, heldUnder } from '../config/held.ts'
import { intervalsUnder } from '../config/intervals.ts'
import { compareItems } from '../config/items.ts'
import { mergeLayers } from '../config/merge.ts'
import { scheduledQueriesOf, type ScheduledQuery } from '../config/scheduled-queries.ts'
import { servedDocument } from '../config/served.ts'
import type { JsonObject } from '../lib/json-value.ts'
import { estimateOf } from '../costs/estimate.ts'
import type { Held } from '../fleet/held.ts'
import { cellsOf, type Cell } from '../fleet/layer-cells.ts'
import type { LayerMatch } from '../fleet/layers.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import type { Targets } from '../fleet/targeting.ts'
import { utf8 } from '../lib/bytes.ts'
import { TargetResolver } from '../queries/target-resolver.ts'
import { MAX_CHANGES } from './configuration-versions.ts'
import type { OperatorContext } from './context.ts'
import { estimateSchema, knownCostsOf } from './cost-knowledge.ts'
import { serverAdditionsOf, type ServerAdditions } from './served-additions.ts'
import type { PreparedVersion } from './store-version.ts'
import { targetPlace } from './targets.ts'

/** Members of a plan. */
export const reachSchema = {
  nodes: z.int().openapi({ description: 'In the environment now' }),
  nodesChanged: z.int().openapi({ description: 'Those that would get another document' }),
  layers: z.array(z.object({ name: z.string(), nodes: z.int() })),
  combinations: z.array(
    z.object({ layers: z.array(z.string()), nodes: z.int(), nodesChanged: z.int(), bytes: z.int() }),
  ),
  estimate: estimateSchema,
  cleared: z
    .array(z.object({ pointer: z.string(), value: z.unknown() }))
    .openapi({ description: 'Taken out, kept by agents, and so sent with this value from now on' }),
  untilRestart: z
    .array(z.object({ pointer: z.string(), reason: z.string() }))
    .openapi({ description: 'Taken out, and kept by agents until they restart' }),
}

/** The reply of plan. */
export async function planOf(c: OperatorContext, prepared: PreparedVersion) {
  const { present, wanted, gone, sha256, warnings } = prepared
  const changes = differenceOf(asOneValue(present), asOneValue(wanted))
  const { reach, cells } = await reachOf(c, prepared)
  const costs = await knownCostsOf(c)
  return {
    version: present.version,
    result: sha256 === present.sha256 ? ('unchanged' as const) : ('created' as const),
    ...compareItems(present, wanted),
    changes: changes.slice(0, MAX_CHANGES),
    truncated: changes.length > MAX_CHANGES,
    ...reach,
    estimate: costs === null ? null : await estimateOf(cells, costs),
    cleared: gone.cleared,
    untilRestart: gone.lasting,
    warnings,
  }
}

async function reachOf(c: OperatorContext, { present, wanted, held }: PreparedVersion) {
  // By platform too, because a query may be for some only.
  const families = FAMILIES.map((platform) => ({ platform }))
  const matches = distinct([...[...present.layers, ...wanted.layers].map(({ match }) => match), ...families])
  const resolver = new TargetResolver(targetPlace(c))
  const everyone = await resolver.resolve({ all: true }, '')
  const sets: NodeSet[] = []
  // A tag or platform that no node has yet is nobody, not a fault.
  for (const match of matches) sets.push(await resolver.resolve(targetsOf(match), ''))
  const cells = cellsOf(everyone, sets)
  const more = await serverAdditionsOf(c)
  const before = new Documents(present, matches, held, more)
  const after = new Documents(wanted, matches, distinctHeld([...held, ...heldOf(wanted)]), more)
  const combinations = new Map<
    string,
    { layers: string[]; nodes: number; nodesChanged: number; bytes: number }
  >()
  for (const { mask, nodes } of cells) {
    const { names, text } = after.of(mask)
    const isChanged = before.of(mask).text !== text
    const key = JSON.stringify(names)
    const known = combinations.get(key) ?? {
      layers: names,
      nodes: 0,
      nodesChanged: 0,
      bytes: utf8(text).length,
    }
    known.nodes += nodes
    if (isChanged) known.nodesChanged += nodes
    combinations.set(key, known)
  }
  const all = [...combinations.values()]
  const reach = {
    nodes: everyone.size,
    nodesChanged: all.reduce((sum, { nodesChanged }) => sum + nodesChanged, 0),
    layers: wanted.layers.map(({ name, match }) => ({ name, nodes: countOf(match, matches, cells) })),
    combinations: all.toSorted((a, b) => b.nodes - a.nodes),
  }
  return {
    reach,
    cells: cells.map(({ mask, nodes }) => ({
      nodes,
      family:
        FAMILIES.find((platform) => (mask & (1 << indexOf({ platform }, matches))) !== 0) ??
        ('unknown' as const),
      before: before.of(mask).queries,
      after: after.of(mask).queries,
    })),
  }
}

interface ServedText {
  names: string[]
  text: string
  queries: ScheduledQuery[]
}

/** Platforms that nodes tell. */
const FAMILIES = ['linux', 'darwin', 'windows', 'freebsd'] as const

/** The documents of a version by which matches hold, each merged once. */
class Documents {
  readonly #content: VersionContent
  readonly #bits: number[]
  readonly #held: readonly Held[]
  readonly #more: ServerAdditions
  readonly #known = new Map<string, ServedText>()

  constructor(
    content: VersionContent,
    matches: readonly LayerMatch[],
    held: readonly Held[],
    more: ServerAdditions,
  ) {
    this.#content = content
    this.#more = more
    this.#held = held
    this.#bits = content.layers.map(({ match }) => 1 << indexOf(match, matches))
  }

  of(mask: number): ServedText {
    const { document, layers } = this.#content
    const isThere = (index: number) => (mask & (this.#bits[index] ?? 0)) !== 0
    const chosen = layers.filter((_layer, index) => isThere(index))
    const names = chosen.map(({ name }) => name)
    const key = names.join('+')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const own = layers.reduce((bits, _layer, index) => (isThere(index) ? bits | (1 << index) : bits), 0)
    const matches = layers.map(({ match }) => match)
    const here = heldUnder(this.#held, matches, own)
    const intervals = intervalsUnder(this.#more.managed, names)
    const { text } = servedDocument(mergeLayers(document, chosen), { ...this.#more, held: here, intervals })
    const queries = scheduledQueriesOf(JSON.parse(text) as JsonObject)
    this.#known.set(key, { names, text, queries })
    return { names, text, queries }
  }
}

function distinct(matches: readonly LayerMatch[]): LayerMatch[] {
  return [...new Map(matches.map((match) => [JSON.stringify(match), match])).values()]
}

function indexOf(match: LayerMatch, matches: readonly LayerMatch[]): number {
  return matches.findIndex((other) => JSON.stringify(other) === JSON.stringify(match))
}

function countOf(match: LayerMatch, matches: readonly LayerMatch[], cells: readonly Cell[]): number {
  const bit = 1 << indexOf(match, matches)
  return cells.reduce((sum, { mask, nodes }) => ((mask & bit) === 0 ? sum : sum + nodes), 0)
}

function targetsOf(match: LayerMatch): Targets {
  if ('platform' in match) return { platforms: [match.platform] }
  return 'tag' in match ? { tags: [match.tag] } : match
}
