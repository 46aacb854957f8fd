/** What operators define, as drizzle sees it: a mirror of migrations/, which decide. */

import { integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bytes } from './schema-bytes.ts'

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
