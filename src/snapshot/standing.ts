/** What a head says about where nodes stand, from the rows. */

import type { StandingRows } from '../db/standing-rows.ts'
import { settled, type KeyRevocation } from '../fleet/key-revocation.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { supersededBytes } from '../fleet/superseded.ts'
import type { Bytes } from '../lib/bytes.ts'

/** The members of a head that are about it; those that are not there are absent. */
export interface HeadStanding {
  minimumIssuedAtS: number
  revocations?: readonly KeyRevocation[]
  approvedPart?: string
  supersededPart?: string | null
}

/** `keep` stores a part and gives its name. */
export async function headStanding(
  minimumIssuedAtS: number,
  rows: StandingRows | undefined,
  keep: (bytes: Bytes) => Promise<string>,
): Promise<HeadStanding> {
  if (rows === undefined) return { minimumIssuedAtS }
  const { minimumIssuedAtS: least, revocations } = settled(rows.revocations, minimumIssuedAtS)
  const { approvedOrdinals: approved, superseded } = rows
  return {
    minimumIssuedAtS: least,
    ...(revocations.length === 0 ? {} : { revocations }),
    supersededPart: superseded.length === 0 ? null : await keep(supersededBytes(superseded)),
    ...(approved.length === 0 ? {} : { approvedPart: await keep(NodeSet.of(approved).toBytes()) }),
  }
}
