/** The admin route as `npm run config` uses it. */

import { AdminRoute, type ServerReply } from '../admin-route.ts'
import type { ServerAccess } from '../server-access.ts'

export type { ServerReply } from '../admin-route.ts'

/** One environment's configuration on a server. */
export class ConfigurationServer {
  readonly #route: AdminRoute
  readonly #environment: AdminRoute

  private constructor(route: AdminRoute, environment: AdminRoute) {
    this.#route = route
    this.#environment = environment
  }

  static async of(access: ServerAccess): Promise<ConfigurationServer> {
    const path = `/environments/${encodeURIComponent(access.env)}`
    const [route, environment] = await Promise.all([
      AdminRoute.of(access, `${path}/configuration`),
      AdminRoute.of(access, path),
    ])
    return new ConfigurationServer(route, environment)
  }

  /** What is managed of intervals. */
  intervals(): Promise<ServerReply> {
    return this.#environment.call('GET', '/intervals')
  }

  /** Any status is a reply; throws where there is none. */
  call(method: 'GET' | 'POST', path: string, body?: string): Promise<ServerReply> {
    return this.#route.call(method, path, body)
  }
}
