/** What nodes may hold of all versions that there were (src/config/held.ts). Rows are only ever added. */

import { asc, eq, sql } from 'drizzle-orm'
import type { Held } from '../fleet/held.ts'
import { isPlatformFamily } from '../fleet/platform.ts'
import type { ControlDb, Statement } from './control.ts'
import { heldOptions } from './schema-control.ts'

export async function listHeldOptions(db: ControlDb, environmentId: string): Promise<Held[]> {
  const rows = await db
    .select({ pointer: heldOptions.pointer, platform: heldOptions.platform })
    .from(heldOptions)
    .where(eq(heldOptions.environmentId, environmentId))
    .orderBy(asc(heldOptions.pointer), asc(heldOptions.platform))
  return rows.map(heldOfRow)
}

/** A row of the table as it is. */
export function heldOfRow({ pointer, platform }: { pointer: string; platform: string }): Held {
  return { pointer, platform: isPlatformFamily(platform) ? platform : null }
}

/** What a rollout's members may hold, as its row has it. */
export function heldOfText(text: string): Held[] {
  return (JSON.parse(text) as [pointer: string, platform: string][]).map(([pointer, platform]) =>
    heldOfRow({ pointer, platform }),
  )
}

/** The form that `heldOfText` reads. */
export function textOfHeld(held: readonly Held[]): string {
  return JSON.stringify(held.map(({ pointer, platform }) => [pointer, platform ?? '']))
}

/** Remembers what is not remembered yet. */
export function rememberHeld(db: ControlDb, environmentId: string, held: readonly Held[]): Statement {
  const rows = textOfHeld(held)
  return db
    .insert(heldOptions)
    .select(
      sql`SELECT ${environmentId}, json_extract(value, '$[0]'), json_extract(value, '$[1]')
        FROM json_each(${rows}) WHERE true`,
    )
    .onConflictDoNothing()
}
