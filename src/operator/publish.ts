/**
 * Tells snapshots that a change is there. The change itself is safe in D1 by then: an object that does not answer in
 * time only means "not live yet", its alarm heals that (design 3).
 */

import { Deadline } from '../lib/deadline.ts'
import { DIRECTORY_NAME } from '../snapshot/keys.ts'
import { reasonOf } from './failure.ts'

/** How long an operator waits to hear that a change is live. */
const LIVE_WITHIN_MS = 3_000

/** Whether this revision of the environment is in the snapshot that the edge gets. */
export function publishEnvironment(env: Env, environmentId: string, revision: number): Promise<boolean> {
  return isLive(async () => {
    const installed = await env.ENVIRONMENT.getByName(environmentId).refresh(revision, false)
    return installed.revision >= revision
  })
}

/** Whether this revision of the deployment is in the directory that the edge gets. */
export function publishDirectory(env: Env, revision: number): Promise<boolean> {
  return isLive(async () => {
    const installed = await env.DIRECTORY.getByName(DIRECTORY_NAME).refresh(revision)
    return installed.revision >= revision
  })
}

async function isLive(publish: () => Promise<boolean>): Promise<boolean> {
  try {
    return await new Deadline(LIVE_WITHIN_MS).run(publish())
  } catch (error) {
    console.warn(JSON.stringify({ event: 'not-live-yet', reason: reasonOf(error) }))
    return false
  }
}

/** A reply without a body still says what it made. */
export function deleted(revision: number, live: boolean): Response {
  return new Response(null, {
    status: 204,
    headers: { 'x-revision': String(revision), 'x-live': String(live) },
  })
}
