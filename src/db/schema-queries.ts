/** Live queries and carves, as drizzle sees them: a mirror of migrations/, which decide. */

import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { bytes } from './schema-bytes.ts'

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
