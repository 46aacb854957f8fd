/** GET /openapi.json: the admin route described by itself. */

import type { OperatorRoutes } from './context.ts'
import { VERSION } from '../version.ts'

/** Add it last: it describes what is there when it is asked. */
export function addOpenApiRoute(routes: OperatorRoutes): void {
  routes.openAPIRegistry.registerComponent('securitySchemes', 'operatorToken', {
    type: 'http',
    scheme: 'bearer',
  })
  routes.get('/openapi.json', (c) =>
    c.json(
      routes.getOpenAPI31Document({
        openapi: '3.1.0',
        info: { title: 'osquery-edge admin route', version: VERSION },
        servers: [{ url: '/api/v1' }],
        security: [{ operatorToken: [] }],
      }),
    ),
  )
}
