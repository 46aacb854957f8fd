/**
 * What the edge must know about one environment to answer agents without storage: a small head, and immutable parts
 * named by the hash of their bytes (design 1). Types and pure reading only.
 */

import type { SecretRules } from '../fleet/enroll-rules.ts'
import type { IntervalEdit } from '../fleet/interval-edits.ts'
import type { KeyRevocation } from '../fleet/key-revocation.ts'
import type { StoredIdentityPolicy } from '../fleet/identity-policy.ts'
import { layerMaskOf, type LayerSelector } from '../fleet/layers.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import type { PlatformFamily } from '../fleet/platform.ts'
import type { Retention } from '../logs/retention.ts'

/** Readers accept this format and the one before it (design 4). */
export const HEAD_FORMAT = 1

export interface HeadQuery {
  number: number
  kind: 'query' | 'carve'
  shards: number
  expiresAtMs: number
  /** Part with the nodes that have not answered as far as is known; a stale one costs a shard call (design 4). */
  targetPart: string
  /** Nodes above this ordinal enrolled since, and are asked too: an open range, which no part has to grow for. */
  openFrom?: number
}

/** Nodes that poll fast because an operator watches, until then. Server time decides. */
export interface HeadAcceleration {
  untilMs: number
  part: string
}

/** Whom each layer is for, in order, and the part with the document of each combination, by its mask (fleet/layers.ts). */
export interface HeadLayers {
  selectors: readonly LayerSelector[]
  documents: Readonly<Record<string, string>>
}

/** Nodes that get another configuration than the others: members of a rollout, or of one that was taken back. */
export interface HeadCohort {
  /** Part with its members. */
  part: string
  configurationVersion: number
  configurationParts: readonly string[]
  layers?: HeadLayers
}

export interface EnvironmentHead {
  format: number
  environmentId: string
  name: string
  /** The revision of D1 that this was compiled from. */
  revision: number
  /** Raised with every publication, also between revisions. A lower one never replaces a higher one. */
  publication: number
  /** Node keys issued before this second are revoked. 0: none. */
  minimumIssuedAtS: number
  /** Paced ones, and those of one signing key. Absent where there are none, and in heads of before there were any. */
  revocations?: readonly KeyRevocation[]
  configurationVersion: number
  /** Parts with the configuration document: one for all nodes, or one for each splay bucket. */
  configurationParts: readonly string[]
  /** Layers over that document. Absent where there are none: Workers of before there were layers serve the base. */
  layers?: HeadLayers
  /** The first that a node is in counts. Absent where there are none: Workers of before there were any ignore them. */
  cohorts?: readonly HeadCohort[]
  /**
   * What is put into a document for a splay bucket, by the document's part (fleet/interval-edits.ts). Absent where nothing
   * is: Workers of before serve the base intervals to all.
   */
  intervals?: Readonly<Record<string, readonly IntervalEdit[]>>
  /** Part with what the names in log lines stand for (config/name-table.ts). Absent in heads of before there was one. */
  namesPart?: string
  /** For how long new log lines are kept. Absent in heads of before there was a choice: the default. */
  retention?: Retention
  /** Part with the ordinals that are revoked, or null where there are none. */
  revokedPart: string | null
  /** Part with the nodes that had to be approved and were. Absent: none was. */
  approvedPart?: string
  /**
   * Part with the keys of nodes that were split from another machine (fleet/superseded.ts); null: there are none. Absent
   * in heads of before nodes were split.
   */
  supersededPart?: string | null
  queries: readonly HeadQuery[]
  /** Absent where nobody watches, and in heads of before there was acceleration. */
  accelerated?: HeadAcceleration
}

/**
 * What enroll must know of an environment before it asks D1. Members beside id and name are optional and small: Workers
 * of before read and write the same JSON, and none of them means what it has always meant.
 */
export interface DirectoryEnvironment {
  id: string
  name: string
  /** Who is new there waits for approval. */
  approval?: true
  /** A brownout lets nobody enroll until then; null: until somebody ends it. */
  enrollPaused?: { untilMs: number | null }
  /** What tells machines apart there. Absent: as everywhere (fleet/identity-policy.ts). */
  identity?: StoredIdentityPolicy
}

export interface DirectorySecret {
  /** SHA-256 of the text. */
  hash: string
  environmentId: string
  /** Absent in directories of before secrets had rules. */
  id?: string
  /** Absent where it has none. */
  rules?: SecretRules
}

export interface Directory {
  format: number
  revision: number
  environments: readonly DirectoryEnvironment[]
  secrets: readonly DirectorySecret[]
  /** Secrets that let nobody in any more, to know them when they come. Absent in directories of before. */
  revokedSecrets?: readonly DirectorySecret[]
  /** Signing keys whose node keys were revoked: once they are not in SIGNING_KEYS any more, what is under them is void. */
  retiredKeyIds?: readonly number[]
}

/** Every part that a head names. */
export function partsOf(head: EnvironmentHead): string[] {
  const named = [
    ...documentPartsOf(head),
    ...configurationSetsOf(head),
    head.revokedPart,
    head.approvedPart ?? null,
    head.supersededPart ?? null,
    head.namesPart ?? null,
    head.accelerated?.part ?? null,
    ...head.queries.map(({ targetPart }) => targetPart),
  ]
  return named.filter((hash) => hash !== null)
}

/** The parts with documents that some node gets. */
export function documentPartsOf(head: Configurations): string[] {
  return configurationsOf(head).flatMap(({ configurationParts, layers }) => [
    ...configurationParts,
    ...Object.values(layers?.documents ?? {}),
  ])
}

/** A node, as far as its configuration depends on it: what its key says. */
export interface ConfiguredNode {
  ordinal: number
  platformFamily: PlatformFamily
  splayBucket: number
}

export type Configurations = Pick<
  EnvironmentHead,
  'configurationVersion' | 'configurationParts' | 'layers' | 'cohorts'
>

/**
 * The part that holds a node's configuration document, and the version that it is of. `setOf` gives the members of a
 * part; undefined where a set is not at hand, or the head has no such document.
 */
export function configurationOf(
  head: Configurations,
  node: ConfiguredNode,
  setOf: (part: string) => NodeSet | undefined,
): { part: string; version: number } | undefined {
  let own: Configurations = head
  for (const cohort of head.cohorts ?? []) {
    const members = setOf(cohort.part)
    if (members === undefined) return undefined
    if (!members.has(node.ordinal)) continue
    own = cohort
    break
  }
  const part = configurationPartOf(own, node, setOf)
  return part === undefined ? undefined : { part, version: own.configurationVersion }
}

function configurationPartOf(
  { configurationParts, layers }: Configurations,
  node: ConfiguredNode,
  setOf: (part: string) => NodeSet | undefined,
): string | undefined {
  if (layers === undefined) return configurationParts[node.splayBucket % configurationParts.length]
  const mask = layerMaskOf(layers.selectors, node, setOf)
  return mask === undefined ? undefined : layers.documents[mask]
}

/** The parts with the sets that decide which document a node gets. */
export function configurationSetsOf(head: Pick<EnvironmentHead, 'cohorts' | 'layers'>): string[] {
  const cohorts = (head.cohorts ?? []).map(({ part }) => part)
  const layers = configurationsOf(head)
    .flatMap(({ layers }) => layers?.selectors ?? [])
    .flatMap((selector) => ('part' in selector ? [selector.part] : []))
  return [...new Set([...cohorts, ...layers])]
}

/** The environment's own, and that of each cohort. */
function configurationsOf<Head extends Pick<EnvironmentHead, 'cohorts' | 'layers'>>(
  head: Head,
): (Head | HeadCohort)[] {
  return [head, ...(head.cohorts ?? [])]
}

/** Whether nobody may enroll there. Server time decides when that is over, whatever the age of the directory. */
export function isEnrollPaused({ enrollPaused }: DirectoryEnvironment, nowMs: number): boolean {
  return enrollPaused !== undefined && (enrollPaused.untilMs === null || enrollPaused.untilMs > nowMs)
}

/** The id of the environment that a URL segment names, by UUID or name. */
export function environmentIdOf(directory: Directory, reference: string): string | undefined {
  return directory.environments.find(({ id, name }) => id === reference || name === reference)?.id
}
