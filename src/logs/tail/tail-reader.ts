/** Reads what is new in the archive and offers it to those who watch. */

import { concatBytes, type Bytes } from '../../lib/bytes.ts'
import { Deadline } from '../../lib/deadline.ts'
import type { Follower } from '../archive-followers.ts'
import type { IndexedRow } from '../archive-object.ts'
import { linesOf, LINE_TYPES, type ArchivedLine, type LineType } from '../line.ts'
import { logItemOf } from '../log-item.ts'
import { ObjectDamaged, ObjectGone, readObject } from '../object-reader.ts'
import { Patience } from './patience.ts'
import { SeenIds } from './seen-ids.ts'
import type { TailState } from './tail-store.ts'
import type { Viewer } from './viewer.ts'

/** There is one tail in an environment. */
export const TAIL_FOLLOWER: Follower = { kind: 'tail', name: 'live' }
/** Rows that are asked for at once. */
const PAGE_ROWS = 200
/** Of those the newest that are read; a tail that is further behind tells a gap rather than old news. */
const READ_ROWS = 50
const CALL_WITHIN_MS = 10_000
/** Some 100 bytes each: agents send again within hours, but mostly within minutes. */
const MAX_SEEN_IDS = 50_000
/** Readers get a turn whenever so much was offered. */
const OFFER_BYTES = 128 * 1_024
const WAIT_MS = 5
const NO_FACTS = new Map<string, never>()

export class TailReader {
  readonly #env: Env
  readonly #seen = new SeenIds(MAX_SEEN_IDS)
  readonly #patience = new Patience()

  constructor(env: Env) {
    this.#env = env
  }

  /** Shows the next objects; returns where it is then, the same place where nothing is new. Throws to be tried again. */
  async readOn({ environmentId, position }: TailState, viewers: readonly Viewer[]): Promise<number> {
    const archive = this.#env.ARCHIVE_INDEX.getByName(environmentId)
    const types = LINE_TYPES.filter((type) => viewers.some(({ wanted }) => wanted.types.includes(type)))
    const query = { passed: position, after: position, types: types as LineType[], limit: PAGE_ROWS }
    const { rows, through } = await new Deadline(CALL_WITHIN_MS).run(archive.nextFor(TAIL_FOLLOWER, query))
    for (const row of rows.slice(0, -READ_ROWS)) {
      for (const viewer of viewers) if (viewer.wanted.mayBeIn(row)) viewer.miss(row.lines)
    }
    for (const row of rows.slice(-READ_ROWS)) {
      await this.#show(
        row,
        viewers.filter(({ wanted }) => wanted.mayBeIn(row)),
      )
    }
    return through
  }

  async #show(row: IndexedRow, viewers: readonly Viewer[]): Promise<void> {
    if (viewers.length === 0) return
    try {
      for await (const ndjson of readObject(this.#env, row, new Deadline(CALL_WITHIN_MS))) {
        let offeredBytes = 0
        for (const line of linesOf(ndjson)) {
          offeredBytes += this.#offer(line, viewers)
          if (offeredBytes < OFFER_BYTES) continue
          offeredBytes = 0
          await this.#letThemRead(viewers)
        }
      }
    } catch (error) {
      if (!(error instanceof ObjectGone || error instanceof ObjectDamaged)) throw error
      console.warn(JSON.stringify({ event: 'tail-object-unreadable', key: row.key, reason: error.name }))
    } finally {
      for (const viewer of viewers) viewer.flush()
    }
  }

  /** An object has more lines than may wait for a reader: those who keep up get them all. */
  async #letThemRead(viewers: readonly Viewer[]): Promise<void> {
    for (const viewer of viewers) viewer.flush()
    await scheduler.wait(0)
    while (this.#patience.hasLeft && viewers.some((viewer) => viewer.isBehind(Date.now()))) {
      await scheduler.wait(WAIT_MS)
      this.#patience.spend(WAIT_MS)
    }
  }

  /** Returns the bytes that were offered. */
  #offer(line: ArchivedLine, viewers: readonly Viewer[]): number {
    const interested = viewers.filter(({ wanted }) => wanted.matches(line))
    if (interested.length === 0 || !this.#seen.isNew(line.header.eventId)) return 0
    const item: Bytes = concatBytes(logItemOf(line, NO_FACTS))
    for (const viewer of interested) viewer.offer(item)
    return item.length
  }
}
