/** The Tail object: one for each environment whose lines are watched live. */

import { DurableObject } from 'cloudflare:workers'

export class Tail extends DurableObject<Env> {}
