/** The audit note of a change that this request makes. */

import type { ChangeNote } from '../db/control.ts'
import type { OperatorContext } from './context.ts'

/** For what belongs to the whole deployment; inside an environment use `environmentChangeNote`. */
export function changeNote(
  c: OperatorContext,
  action: string,
  subject: string,
  detail: ChangeNote['detail'] = {},
): ChangeNote {
  return { actor: c.var.actor, action, environmentId: null, subject, detail, atMs: c.var.nowMs }
}

/** For what belongs to the environment that the path names. */
export function environmentChangeNote(
  c: OperatorContext,
  action: string,
  subject: string,
  detail: ChangeNote['detail'] = {},
): ChangeNote {
  return { ...changeNote(c, action, subject, detail), environmentId: c.var.environment.id }
}
