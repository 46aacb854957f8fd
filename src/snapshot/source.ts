/**
 * Where the agent plane gets snapshots: isolate memory ▸ object ▸ R2 copy (design 3). Behind one interface, so that
 * regional relays can be put between later.
 */

import { type Bytes } from '../lib/bytes.ts'
import type { Deadline } from '../lib/deadline.ts'
import { msSince } from '../lib/time.ts'
import { withEdits, type IntervalEdit } from '../fleet/interval-edits.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { FreshValue, type FreshOptions } from './fresh-value.ts'
import { HEAD_FORMAT, type Directory, type EnvironmentHead } from './head.ts'
import { DIRECTORY_KEY, DIRECTORY_NAME, headKey, partKey } from './keys.ts'
import { PartCache } from './part-cache.ts'

/** How long the owner object is waited for before the R2 copy is read. */
const OBJECT_WITHIN_MS = 1_000
/** A miss of the directory refreshes it at most this often (design 4, Enroll). */
const DIRECTORY_MISS_EVERY_MS = 1_000
/** How often a request looks whether another one has fetched what it waits for. */
const LOOK_AGAIN_AFTER_MS = 50
/**
 * Documents of splay buckets that an isolate keeps: those of a few large documents, or of all small ones. Making one is a
 * copy, so that the parts they are made of matter more.
 */
const MAX_OWN_DOCUMENTS_BYTES = 8 * 1_024 * 1_024
/** Once they fill it. All of them in turn would throw each other out, and none would be found. */
const KEEP_ONE_OF = 16
/** Environments whose heads an isolate remembers. */
const MAX_HEADS = 1_000

/** Thrown when neither memory, object nor copy has what is asked for: the agent gets `retry` (design R3). */
export class SnapshotUnavailable extends Error {
  override readonly name = 'SnapshotUnavailable'
}

export interface SnapshotRequest {
  env: Env
  deadline: Deadline
  waitUntil(work: Promise<unknown>): void
}

export interface SnapshotSource {
  /** What this isolate remembers, for answering without waiting; null or undefined: ask for it below. */
  known: {
    /** The head, where it is fresh. */
    head(environmentId: string, nowMs: number): EnvironmentHead | null
    part(hash: string): Bytes | undefined
    /** A splay bucket's own document: of this part with these edits. The same bytes as made anew, most times without making. */
    ownDocument(hash: string, part: Bytes, edits: readonly IntervalEdit[], bucket: number): Bytes
    nodeSet(hash: string): NodeSet | undefined
  }
  head(environmentId: string, request: SnapshotRequest): Promise<EnvironmentHead>
  /** The head at most half a second old, for reads that are held: one of them fetches it for all. */
  newestHead(environmentId: string, request: SnapshotRequest): Promise<EnvironmentHead>
  part(environmentId: string, hash: string, request: SnapshotRequest): Promise<Bytes>
  nodeSet(environmentId: string, hash: string, request: SnapshotRequest): Promise<NodeSet>
  directory(request: SnapshotRequest): Promise<Directory>
  /**
   * A directory that was fetched after the miss, so that a miss in it is known to be one. Fetched at most once a second:
   * who comes within that second waits for its end.
   */
  directoryAfterMiss(request: SnapshotRequest): Promise<Directory>
}

/** The source of one isolate: its memory is the first layer. */
export function createSnapshotSource(): SnapshotSource {
  const heads = new Map<string, FreshValue<EnvironmentHead>>()
  const directory = new FreshValue<Directory>()
  const parts = new PartCache()
  const ownDocuments = new PartCache(MAX_OWN_DOCUMENTS_BYTES)
  let misses = 0
  const nodeSets = new Map<string, NodeSet>()
  /** Sets that a request is fetching, and since when. A request that was cancelled leaves its mark behind. */
  const setsUnderWay = new Map<string, number>()

  function headValue(environmentId: string): FreshValue<EnvironmentHead> {
    let value = heads.get(environmentId)
    if (value === undefined) {
      value = new FreshValue<EnvironmentHead>()
      heads.set(environmentId, value)
      const oldest = heads.keys().next().value
      if (heads.size > MAX_HEADS && oldest !== undefined) heads.delete(oldest)
    }
    return value
  }

  /** A new query makes hundreds of held reads ask for its targets at once: one fetches them, the others look again. */
  async function fetchedByAnother(hash: string, request: SnapshotRequest): Promise<NodeSet | undefined> {
    const startedAtMs = setsUnderWay.get(hash)
    if (startedAtMs === undefined) return undefined
    while (setsUnderWay.get(hash) === startedAtMs && msSince(startedAtMs, Date.now()) < OBJECT_WITHIN_MS) {
      await request.deadline.run(scheduler.wait(LOOK_AGAIN_AFTER_MS))
    }
    return nodeSets.get(hash)
  }

  async function part(environmentId: string, hash: string, request: SnapshotRequest): Promise<Bytes> {
    const known = parts.get(hash)
    if (known !== undefined) return known
    const bytes = await firstOf(request.deadline, [
      () => environmentStub(request.env, environmentId).part(hash),
      async () => bytesOfObject(await request.env.ARCHIVE.get(partKey(environmentId, hash))),
    ])
    parts.set(hash, bytes)
    return bytes
  }

  return {
    known: {
      head: (environmentId, nowMs) => heads.get(environmentId)?.fresh(nowMs) ?? null,
      part: (hash) => parts.get(hash),
      ownDocument(hash, part, edits, bucket) {
        const name = `${hash} ${bucket} ${edits.map(({ seconds }) => seconds).join(' ')}`
        const known = ownDocuments.get(name)
        if (known !== undefined) return known
        const own = withEdits(part, edits, bucket)
        misses += 1
        if (ownDocuments.fits(own.length) || misses % KEEP_ONE_OF === 0) ownDocuments.set(name, own)
        return own
      },
      nodeSet: (hash) => nodeSets.get(hash),
    },
    async head(environmentId, request) {
      const value = headValue(environmentId)
      const fresh = value.fresh(Date.now())
      if (fresh !== null) return fresh
      return value.read(headOptions(environmentId, request))
    },
    newestHead(environmentId, request) {
      return headValue(environmentId).readNewest(headOptions(environmentId, request))
    },
    part,
    async nodeSet(environmentId, hash, request) {
      const known = nodeSets.get(hash) ?? (await fetchedByAnother(hash, request))
      if (known !== undefined) return known
      setsUnderWay.set(hash, Date.now())
      try {
        const set = NodeSet.fromBytes(await part(environmentId, hash, request))
        // Decoded sets are as large as their parts; a small count of them bounds what they hold beside the part cache.
        if (nodeSets.size >= 64) nodeSets.clear()
        nodeSets.set(hash, set)
        return set
      } finally {
        setsUnderWay.delete(hash)
      }
    },
    directory(request) {
      return directory.read(directoryOptions(request))
    },
    async directoryAfterMiss(request) {
      const missedAtMs = Date.now()
      for (;;) {
        const newer = directory.loadedSince(missedAtMs)
        if (newer !== null) return newer
        const dueInMs = DIRECTORY_MISS_EVERY_MS - msSince(directory.refreshStartedAtMs, Date.now())
        if (dueInMs <= 0) return directory.refreshNow(directoryOptions(request))
        // Another request's refresh may be under way: its promise cannot be awaited here, its value can be seen.
        await request.deadline.run(scheduler.wait(Math.min(dueInMs, LOOK_AGAIN_AFTER_MS)))
      }
    },
  }
}

function headOptions(environmentId: string, request: SnapshotRequest): FreshOptions<EnvironmentHead> {
  return freshOptions(
    request,
    (present, next) => next.publication >= present.publication,
    (deadline) => loadHead(environmentId, request, deadline),
  )
}

function freshOptions<T>(
  request: SnapshotRequest,
  mayReplace: (present: T, next: T) => boolean,
  load: (deadline: Deadline) => Promise<T>,
): FreshOptions<T> {
  return {
    load: (withinMs) => request.deadline.run(load(request.deadline), withinMs),
    mayReplace,
    waitUntil: (work) => request.waitUntil(work),
    nowMs: Date.now(),
    withinMs: request.deadline.remainingMs(),
  }
}

function directoryOptions(request: SnapshotRequest): FreshOptions<Directory> {
  return freshOptions(
    request,
    (present, next) => next.revision >= present.revision,
    (deadline) => loadDirectory(request, deadline),
  )
}

async function loadHead(
  environmentId: string,
  { env }: SnapshotRequest,
  deadline: Deadline,
): Promise<EnvironmentHead> {
  const head = await firstOf(deadline, [
    () => environmentStub(env, environmentId).head(),
    async () => (await env.ARCHIVE.get(headKey(environmentId)))?.json<EnvironmentHead>() ?? null,
  ])
  return knownFormat(head)
}

async function loadDirectory({ env }: SnapshotRequest, deadline: Deadline): Promise<Directory> {
  const directory = await firstOf(deadline, [
    () => env.DIRECTORY.getByName(DIRECTORY_NAME).read(),
    async () => (await env.ARCHIVE.get(DIRECTORY_KEY))?.json<Directory>() ?? null,
  ])
  return knownFormat(directory)
}

/** A newer Worker may have written it (gradual deploy): what this one cannot read is as good as not there (R3). */
function knownFormat<T extends { format: number }>(snapshot: T): T {
  const isReadable = snapshot.format === HEAD_FORMAT || snapshot.format === HEAD_FORMAT - 1
  if (!isReadable) throw new SnapshotUnavailable(`a snapshot of format ${snapshot.format}`)
  return snapshot
}

/** The first layer that has it; a layer that throws, hangs or says null is passed over. */
async function firstOf<T>(deadline: Deadline, layers: readonly (() => Promise<T | null>)[]): Promise<T> {
  let why = 'no layer has it'
  for (const layer of layers) {
    try {
      const found = await deadline.run(layer(), OBJECT_WITHIN_MS)
      if (found !== null) return found
    } catch (error) {
      why = String(error)
    }
  }
  throw new SnapshotUnavailable(why)
}

async function bytesOfObject(object: R2ObjectBody | null): Promise<Bytes | null> {
  return object === null ? null : new Uint8Array(await object.arrayBuffer())
}

function environmentStub(env: Env, environmentId: string) {
  return env.ENVIRONMENT.getByName(environmentId)
}
