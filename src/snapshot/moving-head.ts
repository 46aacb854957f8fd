/** What of a head changes between revisions: queries that nodes answer, who is accelerated, what brownouts do. Pure. */

import { HEAD_FORMAT, type EnvironmentHead } from './head.ts'

export type Moving = Pick<EnvironmentHead, 'queries'> & {
  accelerated: EnvironmentHead['accelerated'] | undefined
  intervals: EnvironmentHead['intervals'] | undefined
}
export type LastingHead = Omit<EnvironmentHead, 'format' | 'publication' | keyof Moving>

/** Whether a head says this already. */
export function saysAlready(head: EnvironmentHead | undefined, moving: Moving): boolean {
  const { queries, accelerated, intervals } = moving
  return (
    JSON.stringify([queries, accelerated, intervals]) ===
    JSON.stringify([head?.queries, head?.accelerated, head?.intervals])
  )
}

/** The head of this publication. */
export function headOf(lasting: LastingHead, publication: number, moving: Moving): EnvironmentHead {
  const { queries, accelerated, intervals } = moving
  const head: EnvironmentHead = { ...lasting, format: HEAD_FORMAT, publication, queries }
  // `lasting` may be the head before, whole.
  delete head.accelerated
  delete head.intervals
  return {
    ...head,
    ...(accelerated === undefined ? {} : { accelerated }),
    ...(intervals === undefined ? {} : { intervals }),
  }
}
