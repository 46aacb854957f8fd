/**
 * The Directory object: one for the deployment. It holds what turns an enroll secret or a URL segment into an
 * environment, compiled from D1 and copied to R2 like every snapshot.
 */

import { DurableObject } from 'cloudflare:workers'
import { readDirectoryRows } from '../db/directory-rows.ts'
import { applySchema } from '../lib/object-schema.ts'
import { HEAD_FORMAT, type Directory as DirectorySnapshot } from './head.ts'
import { DIRECTORY_KEY } from './keys.ts'

const SCHEMA = ['CREATE TABLE directory (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)']
/** How often it looks into D1 for what a lost message missed. */
const RECONCILE_EVERY_MS = 5 * 60_000

export class Directory extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SCHEMA)
  }

  /** The present directory; compiled now where there is none yet. */
  async read(): Promise<DirectorySnapshot> {
    return this.#installed() ?? (await this.refresh(1))
  }

  /** Makes at least this revision live. Throws when D1 does not answer; nothing is changed then. */
  async refresh(revision: number): Promise<DirectorySnapshot> {
    const before = this.#installed()
    if (before !== null && before.revision >= revision && !isOfBeforeRules(before)) return before
    const rows = await readDirectoryRows(this.env.DB)
    const present = this.#installed()
    if (present !== null && !mayReplace(present, rows.revision)) return present
    const directory: DirectorySnapshot = { format: HEAD_FORMAT, ...rows }
    const json = JSON.stringify(directory)
    this.ctx.storage.sql.exec('INSERT OR REPLACE INTO directory (id, json) VALUES (1, ?)', json)
    await this.ctx.storage.setAlarm(Date.now() + RECONCILE_EVERY_MS)
    this.ctx.waitUntil(this.#copy(json))
    return directory
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + RECONCILE_EVERY_MS)
    const directory = await this.refresh((this.#installed()?.revision ?? 0) + 1)
    await this.#copy(JSON.stringify(directory))
  }

  #installed(): DirectorySnapshot | null {
    const [row] = this.ctx.storage.sql.exec<{ json: string }>('SELECT json FROM directory').toArray()
    return row === undefined ? null : (JSON.parse(row.json) as DirectorySnapshot)
  }

  async #copy(json: string): Promise<void> {
    try {
      await this.env.ARCHIVE.put(DIRECTORY_KEY, json)
    } catch (error) {
      // The next alarm copies again; until then the object itself answers.
      console.error(JSON.stringify({ event: 'directory-copy-failed', error: String(error) }))
    }
  }
}

function mayReplace(present: DirectorySnapshot, revision: number): boolean {
  return isOfBeforeRules(present) ? revision >= present.revision : revision > present.revision
}

/** Stored by a Worker that knew no rules of secrets: the same revision has more to say now. */
function isOfBeforeRules({ secrets }: DirectorySnapshot): boolean {
  return secrets.some(({ id }) => id === undefined)
}
