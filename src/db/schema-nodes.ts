/**
 * Nodes and what is kept of them, as drizzle sees it: a mirror of migrations/, which decide. Columns that only the agent
 * plane's prepared SQL writes are here too, so that reads are typed.
 */

import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bytes } from './schema-bytes.ts'

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
