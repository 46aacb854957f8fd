/** What operators are told by the Directory object, where D1 may be away. */

import type { BrownoutState } from '../fleet/brownout.ts'
import { Deadline } from '../lib/deadline.ts'
import type { Directory } from '../snapshot/head.ts'
import { DIRECTORY_NAME } from '../snapshot/keys.ts'
import type { OperatorContext } from './context.ts'

/** An object that does not answer in this time is an outage. */
export const DIRECTORY_WITHIN_MS = 5_000

export function directoryOf({ env }: Pick<OperatorContext, 'env'>): Promise<Directory> {
  return new Deadline(DIRECTORY_WITHIN_MS).run(env.DIRECTORY.getByName(DIRECTORY_NAME).read())
}

/** What holds for an environment, or of the deployment alone (null). */
export function brownoutOf(
  { env }: Pick<OperatorContext, 'env'>,
  environmentId: string | null,
): Promise<BrownoutState> {
  const asked = env.DIRECTORY.getByName(DIRECTORY_NAME).brownout(environmentId)
  return new Deadline(DIRECTORY_WITHIN_MS).run(asked)
}

/** The name of the operator token of this hash, as far as D1 was asked last; null: none. */
export function operatorByDirectory(
  { env }: Pick<OperatorContext, 'env'>,
  tokenHash: string,
): Promise<string | null> {
  const asked = env.DIRECTORY.getByName(DIRECTORY_NAME).operatorOf(tokenHash)
  return new Deadline(DIRECTORY_WITHIN_MS).run(asked)
}
