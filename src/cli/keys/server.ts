/** What the server says of its signing keys. */

import { z } from 'zod'

import { AdminRoute, type AdminAccess, type ServerReply } from '../admin-route.ts'
import { CliFailure } from '../failure.ts'

const keyShape = z.object({
  id: z.string(),
  current: z.boolean(),
  inSecret: z.boolean(),
  fingerprint: z.string(),
  firstSeenAt: z.string().nullable(),
  nodes: z.number(),
  sealed: z.number(),
  revocation: z.object({ remaining: z.number(), doneAt: z.string() }).nullable(),
  retirable: z.boolean(),
  blockers: z.array(z.object({ kind: z.string(), detail: z.string() })),
})
const keysShape = z.object({ items: z.array(keyShape), unknownNodes: z.number() })
const planShape = z.object({
  nodes: z.number(),
  online: z.number().nullable(),
  lockedOut: z.number(),
  overSeconds: z.number(),
  doneAt: z.string(),
  warnings: z.array(z.string()),
})
const problemShape = z.object({ detail: z.string(), errors: z.array(z.object({ detail: z.string() })) })

export type ServerKey = z.infer<typeof keyShape>
export type ServerKeys = z.infer<typeof keysShape>
export type RevocationPlan = z.infer<typeof planShape>

export class KeysServer {
  readonly #route: AdminRoute

  private constructor(route: AdminRoute) {
    this.#route = route
  }

  static async of(access: AdminAccess): Promise<KeysServer> {
    return new KeysServer(await AdminRoute.of(access, '/signing-keys'))
  }

  /** Throws CliFailure, as all of these. */
  async keys(): Promise<ServerKeys> {
    return shaped(keysShape, await this.#route.call('GET', ''))
  }

  async preview(id: string, over: number | undefined): Promise<RevocationPlan> {
    const body = JSON.stringify({ overSeconds: over })
    return shaped(planShape, await this.#route.call('POST', `/${id}/revoke/preview`, body))
  }

  async revoke(
    id: string,
    { maxNodes, over, force }: { maxNodes: number; over: number | undefined; force: boolean },
  ): Promise<RevocationPlan> {
    const body = JSON.stringify({ maxNodes, overSeconds: over, force })
    return shaped(planShape, await this.#route.call('POST', `/${id}/revoke`, body))
  }
}

function shaped<Shape extends z.ZodType>(shape: Shape, { status, text }: ServerReply): z.infer<Shape> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new CliFailure(`The server answered ${status} and no JSON.`)
  }
  const problem = problemShape.safeParse(json)
  if (status !== 200)
    throw new CliFailure(problem.success ? problem.data.detail : `The server answered ${status}.`)
  const parsed = shape.safeParse(json)
  if (!parsed.success)
    throw new CliFailure('The server is of another version: its answer is of another form.')
  return parsed.data
}
