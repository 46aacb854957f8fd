/** The Feed object: one for each query that is watched. */

import { DurableObject } from 'cloudflare:workers'

export class Feed extends DurableObject<Env> {}
