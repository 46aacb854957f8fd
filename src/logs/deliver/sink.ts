/** The Sink object: one for each sink, with its cursor over the archive. */

import { DurableObject } from 'cloudflare:workers'

export class Sink extends DurableObject<Env> {}
