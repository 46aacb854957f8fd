/** The admin route as `npm run config` uses it. */

import { AdminRoute, type ServerReply } from '../admin-route.ts'
import type { ServerAccess } from '../server-access.ts'

export type { ServerReply } from '../admin-route.ts'

/** One environment's configuration on a server. */
export class ConfigurationServer {
  readonly #route: AdminRoute

  private constructor(route: AdminRoute) {
    this.#route = route
  }

  static async of(access: ServerAccess): Promise<ConfigurationServer> {
    const path = `/environments/${encodeURIComponent(access.env)}/configuration`
    return new ConfigurationServer(await AdminRoute.of(access, path))
  }

  /** Any status is a reply; throws where there is none. */
  call(method: 'GET' | 'POST', path: string, body?: string): Promise<ServerReply> {
    return this.#route.call(method, path, body)
  }
}
