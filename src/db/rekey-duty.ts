/** A minute's share of giving nodes their identities under a policy that was changed (db/identity-policies.ts). */

import { asc, isNotNull } from 'drizzle-orm'
import { policyOf, type StoredIdentityPolicy } from '../fleet/identity-policy.ts'
import { controlDb } from './control.ts'
import { highestOrdinal } from './environments.ts'
import { rekeySlice } from './identity-policies.ts'
import { environments } from './schema-control.ts'

/** At about a second each. */
const SLICES_A_MINUTE = 10

/** Goes on with one environment where there is one; where there is none this is one statement. */
export async function rekeyMore(env: Env): Promise<void> {
  const db = controlDb(env.DB)
  const { id, identityPolicy, rekeyFrom } = environments
  const [environment] = await db
    .select({ id, identityPolicy, rekeyFrom })
    .from(environments)
    .where(isNotNull(rekeyFrom))
    .orderBy(asc(id))
    .limit(1)
  if (environment === undefined) return
  const policy = policyOf(JSON.parse(environment.identityPolicy) as StoredIdentityPolicy)
  const highest = await highestOrdinal(db, environment.id)
  let from = environment.rekeyFrom
  for (let slice = 0; slice < SLICES_A_MINUTE && from !== null; slice += 1) {
    from = await rekeySlice(db, environment.id, policy, from, highest)
  }
}
