/**
 * The tables that operators' requests use, as drizzle sees them: a mirror of migrations/, which decide. Columns that
 * only the agent plane's prepared SQL writes are here too, so that reads are typed.
 */

import { customType, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Bytes } from '../lib/bytes.ts'

/** D1 takes BLOBs as byte arrays; it hands them out as arrays of numbers. */
const bytes = customType<{ data: Bytes; driverData: ArrayLike<number> }>({
  dataType: () => 'blob',
  fromDriver: (value) => Uint8Array.from(value),
})

export const deployment = sqliteTable('deployment', {
  id: integer('id').primaryKey(),
  revision: integer('revision').notNull(),
  auditArchived: text('audit_archived').notNull().default(''),
})

export const environments = sqliteTable('environments', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  revision: integer('revision').notNull(),
  answerShards: integer('answer_shards').notNull(),
  minimumIssuedAtS: integer('minimum_issued_at_s').notNull().default(0),
  nextQueryNumber: integer('next_query_number').notNull().default(1),
  accelerateShare: real('accelerate_share').notNull().default(0.1),
  retention: text('retention').notNull().default('{}'),
  resultsRetentionDays: integer('results_retention_days').notNull().default(30),
  tracesRetentionDays: integer('traces_retention_days').notNull().default(90),
  stableVersion: integer('stable_version'),
  builtIn: text('built_in').notNull().default('{}'),
  intervals: text('intervals').notNull().default('{}'),
  costRules: text('cost_rules').notNull().default('{}'),
  costsLookedAtMs: integer('costs_looked_at').notNull().default(0),
  approval: integer('approval', { mode: 'boolean' }).notNull().default(false),
  archiveAfterDays: integer('archive_after_days').notNull().default(0),
  identityPolicy: text('identity_policy').notNull().default('{}'),
  rekeyFrom: integer('rekey_from'),
  clones: text('clones', { enum: ['split', 'flag'] })
    .notNull()
    .default('split'),
  createdAtMs: integer('created_at').notNull(),
})

export const enrollSecrets = sqliteTable('enroll_secrets', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  name: text('name').notNull(),
  note: text('note').notNull().default(''),
  secretHash: text('secret_hash').notNull(),
  rules: text('rules').notNull().default('{}'),
  expiresAtMs: integer('expires_at'),
  revokedAtMs: integer('revoked_at'),
  serialCount: integer('serial_count').notNull().default(0),
  predecessorId: text('predecessor_id'),
  quotaGroup: text('quota_group'),
  enrollCount: integer('enroll_count').notNull().default(0),
  refusedCount: integer('refused_count').notNull().default(0),
  lastUsedAtMs: integer('last_used_at'),
  lastRefusedAtMs: integer('last_refused_at'),
  createdAtMs: integer('created_at').notNull(),
})

export const enrollSerials = sqliteTable(
  'enroll_serials',
  {
    secretId: text('secret_id').notNull(),
    serial: text('serial').notNull(),
  },
  (table) => [primaryKey({ columns: [table.secretId, table.serial] })],
)

export const enrollAdmissions = sqliteTable('enroll_admissions', {
  quotaGroup: text('quota_group').primaryKey(),
  nodes: integer('nodes').notNull(),
})

export const configurations = sqliteTable(
  'configurations',
  {
    environmentId: text('environment_id').notNull(),
    version: integer('version').notNull(),
    document: text('document').notNull(),
    sha256: text('sha256').notNull(),
    createdAtMs: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    message: text('message').notNull().default(''),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.version] })],
)

export const configurationLayers = sqliteTable(
  'configuration_layers',
  {
    environmentId: text('environment_id').notNull(),
    version: integer('version').notNull(),
    position: integer('position').notNull(),
    name: text('name').notNull(),
    match: text('match').notNull(),
    documentSha256: text('document_sha256').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.version, table.position] })],
)

export const configurationDocuments = sqliteTable(
  'configuration_documents',
  {
    environmentId: text('environment_id').notNull(),
    sha256: text('sha256').notNull(),
    document: text('document').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.sha256] })],
)

export const heldOptions = sqliteTable(
  'held_options',
  {
    environmentId: text('environment_id').notNull(),
    pointer: text('pointer').notNull(),
    platform: text('platform').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.pointer, table.platform] })],
)

export const rollouts = sqliteTable('rollouts', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  version: integer('version').notNull(),
  stableVersion: integer('stable_version').notNull(),
  plan: text('plan').notNull(),
  held: text('held').notNull(),
  state: text('state', {
    enum: ['running', 'waiting', 'paused', 'halted', 'complete', 'rolled-back'],
  }).notNull(),
  step: integer('step').notNull(),
  stepSinceMs: integer('step_since').notNull(),
  stepSpentMs: integer('step_spent').notNull().default(0),
  served: integer('served', { mode: 'boolean' }).notNull(),
  turn: integer('turn').notNull(),
  dueAtMs: integer('due_at'),
  gates: text('gates'),
  reason: text('reason'),
  clearing: integer('clearing', { mode: 'boolean' }).notNull().default(false),
  message: text('message').notNull().default(''),
  createdAtMs: integer('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  endedAtMs: integer('ended_at'),
})

export const rolloutMembers = sqliteTable(
  'rollout_members',
  {
    rolloutId: text('rollout_id').notNull(),
    chunk: integer('chunk').notNull(),
    bits: bytes('bits').notNull(),
  },
  (table) => [primaryKey({ columns: [table.rolloutId, table.chunk] })],
)

export const pausedQueries = sqliteTable(
  'paused_queries',
  {
    environmentId: text('environment_id').notNull(),
    name: text('name').notNull(),
    pausedAtMs: integer('paused_at').notNull(),
    pausedBy: text('paused_by').notNull(),
    reason: text('reason').notNull(),
    resumedAtMs: integer('resumed_at'),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.name] })],
)

export const queries = sqliteTable('queries', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  number: integer('number').notNull(),
  kind: text('kind', { enum: ['query', 'carve'] }).notNull(),
  sql: text('sql').notNull(),
  targets: text('targets').notNull(),
  shards: integer('shards').notNull(),
  targeted: integer('targeted').notNull(),
  status: text('status', { enum: ['open', 'complete', 'stopped', 'expired'] }).notNull(),
  createdAtMs: integer('created_at').notNull(),
  expiresAtMs: integer('expires_at').notNull(),
  closedAtMs: integer('closed_at'),
  erasedAtMs: integer('erased_at'),
  resultsStage: integer('results_stage').notNull().default(0),
  finalCounts: text('final_counts'),
  resultsErasedAtMs: integer('results_erased_at'),
  createdBy: text('created_by').notNull(),
  label: text('label'),
  hidden: integer('hidden', { mode: 'boolean' }).notNull().default(false),
  maxRowsPerNode: integer('max_rows_per_node'),
  lateFrom: integer('late_from'),
  webhookUrl: text('webhook_url'),
  webhookSecrets: text('webhook_secrets'),
  webhookOrigin: text('webhook_origin'),
  webhookDueAtMs: integer('webhook_due_at'),
  webhookAttempts: integer('webhook_attempts').notNull().default(0),
  webhookError: text('webhook_error'),
  webhookDeliveredAtMs: integer('webhook_delivered_at'),
  discovery: text('discovery'),
  logResults: integer('log_results', { mode: 'boolean' }).notNull().default(true),
})

export const queryTargets = sqliteTable(
  'query_targets',
  {
    environmentId: text('environment_id').notNull(),
    number: integer('number').notNull(),
    chunk: integer('chunk').notNull(),
    bits: bytes('bits').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.number, table.chunk] })],
)

export const carves = sqliteTable('carves', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  nodeId: text('node_id').notNull(),
  carveId: text('carve_id'),
  sessionRowId: text('session_row_id'),
  queryId: text('query_id'),
  path: text('path'),
  status: text('status').notNull(),
  message: text('message'),
  blocksReceived: integer('blocks_received').notNull().default(0),
  blockCount: integer('block_count'),
  blockSize: integer('block_size'),
  bytes: integer('bytes'),
  sha256: text('sha256'),
  fileName: text('file_name'),
  objectKey: text('object_key'),
  createdAtMs: integer('created_at').notNull(),
  updatedAtMs: integer('updated_at').notNull(),
})

export const operatorTokens = sqliteTable('operator_tokens', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  tokenHash: text('token_hash').notNull(),
  createdAtMs: integer('created_at').notNull(),
  createdBy: text('created_by').notNull(),
})

export const audit = sqliteTable('audit', {
  id: text('id').primaryKey(),
  atMs: integer('at').notNull(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  environmentId: text('environment_id'),
  subject: text('subject').notNull(),
  detail: text('detail').notNull(),
})

export const nodes = sqliteTable('nodes', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  ordinal: integer('ordinal').notNull(),
  identity: text('identity').notNull(),
  hostname: text('hostname').notNull(),
  platform: text('platform').notNull(),
  platformFamily: text('platform_family').notNull(),
  osqueryVersion: text('osquery_version').notNull(),
  hostIdentifier: text('host_identifier').notNull(),
  hardwareUuid: text('hardware_uuid').notNull(),
  hardwareSerial: text('hardware_serial').notNull(),
  instanceId: text('instance_id').notNull(),
  hostDetails: text('host_details').notNull(),
  inventoryAt: text('inventory_at').notNull().default('{}'),
  hardwareUuidSeen: text('hardware_uuid_seen').notNull().default(''),
  hardwareUuidSeenAtMs: integer('hardware_uuid_seen_at'),
  firstEnrolledAtMs: integer('first_enrolled_at').notNull(),
  enrolledAtMs: integer('enrolled_at').notNull(),
  enrollCount: integer('enroll_count').notNull().default(1),
  cloneSuspectedAtMs: integer('clone_suspected_at'),
  cloneOf: text('clone_of'),
  clones: text('clones', { enum: ['split', 'flagged', 'joined'] }),
  clonesFoundAtMs: integer('clones_found_at'),
  clonesEvidence: text('clones_evidence'),
  splitBy: text('split_by', { enum: ['instance', 'host'] }),
  splitCount: integer('split_count').notNull().default(0),
  dampedEnrolls: integer('damped_enrolls').notNull().default(0),
  enrollSecretId: text('enroll_secret_id'),
  deletedAtMs: integer('deleted_at'),
  signingKeyId: integer('signing_key_id'),
  pendingSinceMs: integer('pending_since'),
  approvedAtMs: integer('approved_at'),
  blockedAtMs: integer('blocked_at'),
  archivedAtMs: integer('archived_at'),
  mergedInto: text('merged_into'),
})

export const nodeAliases = sqliteTable(
  'node_aliases',
  {
    environmentId: text('environment_id').notNull(),
    identity: text('identity').notNull(),
    nodeId: text('node_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.identity] })],
)

export const blocks = sqliteTable('blocks', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  nodeId: text('node_id'),
  hostname: text('hostname').notNull(),
  reason: text('reason').notNull(),
  createdAtMs: integer('created_at').notNull(),
  createdBy: text('created_by').notNull(),
})

export const blockedIdentities = sqliteTable(
  'blocked_identities',
  {
    environmentId: text('environment_id').notNull(),
    identity: text('identity').notNull(),
    blockId: text('block_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.identity, table.blockId] })],
)

export const keyRevocations = sqliteTable('key_revocations', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id'),
  keyId: integer('key_id'),
  issuedBeforeS: integer('issued_before_s').notNull(),
  fromS: integer('from_s').notNull(),
  overS: integer('over_s').notNull(),
  nodes: integer('nodes').notNull(),
  createdAtMs: integer('created_at').notNull(),
  createdBy: text('created_by').notNull(),
})

export const signingKeys = sqliteTable('signing_keys', {
  keyId: integer('key_id').primaryKey(),
  fingerprint: text('fingerprint').notNull(),
  isCurrent: integer('is_current').notNull(),
  firstSeenAtMs: integer('first_seen_at').notNull(),
  currentSinceMs: integer('current_since'),
  replacedAtMs: integer('replaced_at'),
})

export const nodeTraces = sqliteTable(
  'node_traces',
  {
    environmentId: text('environment_id').notNull(),
    kind: text('kind', { enum: ['public', 'interface', 'mac', 'user'] }).notNull(),
    value: text('value').notNull(),
    ordinal: integer('ordinal').notNull(),
    fromMs: integer('from_at').notNull(),
    toMs: integer('to_at'),
  },
  (table) => [
    primaryKey({ columns: [table.environmentId, table.kind, table.value, table.ordinal, table.fromMs] }),
  ],
)

export const traceErasures = sqliteTable(
  'trace_erasures',
  {
    environmentId: text('environment_id').notNull(),
    ordinal: integer('ordinal').notNull(),
    untilMs: integer('until_at').notNull(),
    finishedMs: integer('finished_at'),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.ordinal] })],
)

export const nodeTags = sqliteTable(
  'node_tags',
  {
    environmentId: text('environment_id').notNull(),
    nodeId: text('node_id').notNull(),
    tag: text('tag').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environmentId, table.nodeId, table.tag] })],
)

export const nodeSets = sqliteTable('node_sets', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  name: text('name').notNull(),
  createdAtMs: integer('created_at').notNull(),
  updatedAtMs: integer('updated_at').notNull(),
})

export const nodeSetChunks = sqliteTable(
  'node_set_chunks',
  {
    nodeSetId: text('node_set_id').notNull(),
    chunk: integer('chunk').notNull(),
    bits: bytes('bits').notNull(),
  },
  (table) => [primaryKey({ columns: [table.nodeSetId, table.chunk] })],
)

export const latestSnapshots = sqliteTable(
  'latest_snapshots',
  { environmentId: text('environment_id').notNull(), pattern: text('pattern').notNull() },
  (table) => [primaryKey({ columns: [table.environmentId, table.pattern] })],
)

export const sinks = sqliteTable('sinks', {
  id: text('id').primaryKey(),
  environmentId: text('environment_id').notNull(),
  name: text('name').notNull(),
  kind: text('kind').notNull(),
  settings: text('settings').notNull(),
  secrets: text('secrets').notNull(),
  secretNames: text('secret_names').notNull(),
  filter: text('filter').notNull(),
  delivery: text('delivery').notNull(),
  paused: integer('paused', { mode: 'boolean' }).notNull().default(false),
  revision: integer('revision').notNull().default(1),
  createdAtMs: integer('created_at').notNull(),
  updatedAtMs: integer('updated_at').notNull(),
})
