/** How fast a warm isolate hands out documents, against handlers that do nothing; and what it asks of storage for it. */

import { LoadGenerator, postBytes, type LoadResult } from '../load.ts'
import type { BenchNode } from '../nodes.ts'
import type { BenchServer } from '../server.ts'
import { median, percentile, sum } from '../stats.ts'
import { useOf } from '../workerd-process.ts'
import { storeDocuments } from './documents.ts'

/** Enough to keep workerd's one thread busy. */
const CONNECTIONS = 8

export interface Served {
  documents: number
  perSecond: number
  cpuMs: number
  /** Requests/s, as a share of the empty handler's, and of one that answers with as many bytes. */
  ofEmpty: number
  ofLarge: number
  /** CPU time of one request in that of the other's. */
  cpuOfEmpty: number
  cpuOfLarge: number
  failures: number
  /** What all binding calls of warm config replies came to. */
  calls: number
  requests: number
  /** Different replies that the nodes got: documents times splay buckets, as far as there are nodes. */
  replies: number
}

interface Round {
  perSecond: number
  cpuMs: number
  failures: number
}

export interface ServedOptions {
  rounds: number
  roundMs: number
}

export async function measureServed(
  server: BenchServer,
  nodes: readonly BenchNode[],
  documents: number,
  { rounds, roundMs }: ServedOptions,
): Promise<Served> {
  await storeDocuments(server, nodes, documents)
  const urls = {
    own: new URL('/api/osquery/config', await server.url()),
    empty: await server.url('floor'),
    large: await server.url('large'),
  }
  const requests = nodes.map((node) => postBytes(urls.own, keyBody(node), keyHeader(node)))
  let turn = 0
  const next = {
    own: () => requests[(turn += 1) % requests.length] ?? null,
    empty: () => EMPTY(urls.empty),
    large: () => EMPTY(urls.large),
  }
  const replies = await untilServed(urls.own, nodes, documents)
  const generators = {
    own: await LoadGenerator.connect(urls.own, CONNECTIONS),
    empty: await LoadGenerator.connect(urls.empty, CONNECTIONS),
    large: await LoadGenerator.connect(urls.large, CONNECTIONS),
  }
  const taken = { own: [] as Round[], empty: [] as Round[], large: [] as Round[] }
  for (let i = 0; i <= rounds; i += 1) {
    for (const kind of ['empty', 'own', 'large'] as const) {
      const one = await round(server, () => generators[kind].run(next[kind], roundMs))
      // The first of each is for the compiler.
      if (i > 0) taken[kind].push(one)
    }
  }
  for (const generator of Object.values(generators)) generator.close()
  const speed = (kind: 'empty' | 'large') =>
    median(taken.own.map((one, i) => one.perSecond / (taken[kind][i]?.perSecond ?? Number.NaN)))
  return {
    documents,
    perSecond: median(taken.own.map(({ perSecond }) => perSecond)),
    cpuMs: quiet(taken.own),
    ofEmpty: speed('empty'),
    ofLarge: speed('large'),
    cpuOfEmpty: quiet(taken.own) / quiet(taken.empty),
    cpuOfLarge: quiet(taken.own) / quiet(taken.large),
    failures: sum(taken.own.map(({ failures }) => failures)),
    replies,
    ...(await countCalls(server, nodes)),
  }
}

function EMPTY(url: URL): Uint8Array {
  const known = empties.get(url.href) ?? postBytes(url, '{}')
  empties.set(url.href, known)
  return known
}
const empties = new Map<string, Uint8Array>()

/** Asks as every node, twice, until each of the documents has been seen; how many different replies there were. */
async function untilServed(url: URL, nodes: readonly BenchNode[], documents: number): Promise<number> {
  const endsAtMs = Date.now() + 30_000
  for (;;) {
    const replies = new Set<string>()
    const withoutIntervals = new Set<string>()
    for (const node of nodes) {
      const reply = await fetch(url, { method: 'POST', body: keyBody(node), headers: keyHeader(node) })
      const text = await reply.text()
      replies.add(text)
      if (text.includes('distributed_interval')) withoutIntervals.add(text.replaceAll(INTERVALS, ''))
    }
    if (withoutIntervals.size === documents) return replies.size
    if (Date.now() > endsAtMs)
      throw new Error(`${withoutIntervals.size} different documents came, not ${documents}`)
  }
}

const INTERVALS = /"(?:config_tls_refresh|distributed_interval|logger_tls_period)":\d+,?/g

/**
 * What handing out all documents adds to the whole workerd process, in MiB, beside handing out one: started anew, so that
 * nothing of making them is in it. The object that hands out the parts lives in the same process.
 */
export async function measureMemory(server: BenchServer, nodes: readonly BenchNode[]): Promise<number> {
  await server.restart()
  const url = new URL('/api/osquery/config', await server.url())
  const [first] = nodes
  if (first === undefined) throw new Error('there are nodes')
  const ask = async (some: readonly BenchNode[], times: number) => {
    for (let time = 0; time < times; time += 1)
      for (const node of some) {
        const reply = await fetch(url, { method: 'POST', body: keyBody(node), headers: keyHeader(node) })
        await reply.arrayBuffer()
      }
    return (useOf(server.workerdPid)?.residentBytes ?? Number.NaN) / 1_024 ** 2
  }
  const one = await ask([first], 3 * nodes.length)
  return (await ask(nodes, 3)) - one
}

/** Binding calls of each node's config once more, on an isolate that is warm; its refreshes of the head are its own. */
async function countCalls(
  server: BenchServer,
  nodes: readonly BenchNode[],
): Promise<Pick<Served, 'calls' | 'requests'>> {
  const base = await server.url('counted')
  const ask = async (node: BenchNode) => {
    const url = new URL('/api/osquery/config', base)
    const reply = await fetch(url, { method: 'POST', body: keyBody(node), headers: keyHeader(node) })
    await reply.arrayBuffer()
  }
  for (const node of nodes) await ask(node)
  await (await fetch(new URL('/bench/tally', base))).text()
  for (const node of nodes) await ask(node)
  const { tally } = (await (await fetch(new URL('/bench/tally', base))).json()) as {
    tally: Record<string, number>
  }
  const own = Object.entries(tally).filter(([key]) => key.startsWith('request config|'))
  const calls = own.filter(([key]) => !key.endsWith('|requests'))
  return { calls: sum(calls.map(([, value]) => value)), requests: nodes.length }
}

async function round({ workerdPid }: BenchServer, run: () => Promise<LoadResult>): Promise<Round> {
  const before = useOf(workerdPid)?.cpuMs ?? Number.NaN
  const { requests, failures, seconds } = await run()
  const after = useOf(workerdPid)?.cpuMs ?? Number.NaN
  return { perSecond: requests / seconds, cpuMs: (after - before) / requests, failures }
}

/** CPU time of the quieter rounds: whatever else runs on a machine only ever adds to it. */
function quiet(rounds: readonly Round[]): number {
  return percentile(
    rounds.map(({ cpuMs }) => cpuMs),
    0.25,
  )
}

export function keyBody({ nodeKey }: BenchNode): string {
  return JSON.stringify({ node_key: nodeKey })
}

export function keyHeader({ nodeKey }: BenchNode): Record<string, string> {
  return { authorization: `NodeKey ${nodeKey}` }
}
