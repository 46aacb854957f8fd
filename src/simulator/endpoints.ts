/** The seven calls of osquery's remote API. */
export type EndpointName = 'enroll' | 'config' | 'log' | 'read' | 'write' | 'carveStart' | 'carveBlock'

/** Path of each call below the base URL, as the agent's flags would name it. */
export type Endpoints = Readonly<Record<EndpointName, string>>

/** Path layouts that the server answers: its own, and those of the products that it replaces. */
export type EndpointLayout = 'canonical' | 'osctrl' | 'zentral'

/** Paths of a layout. `environment` is the first path segment of the osctrl layout; the others ignore it. */
export function endpointsFor(layout: EndpointLayout, environment = 'default'): Endpoints {
  switch (layout) {
    case 'canonical':
      return layoutBelow('/api/osquery', {
        read: 'distributed/read',
        write: 'distributed/write',
        carveStart: 'carve/begin',
        carveBlock: 'carve/block',
      })
    case 'osctrl':
      return layoutBelow(`/${environment}`, {
        read: 'read',
        write: 'write',
        carveStart: 'init',
        carveBlock: 'block',
      })
    case 'zentral':
      return layoutBelow('/public/osquery', {
        read: 'distributed/read',
        write: 'distributed/write',
        carveStart: 'carver/start',
        carveBlock: 'carver/continue',
      })
  }
}

type Varying = Pick<Endpoints, 'read' | 'write' | 'carveStart' | 'carveBlock'>

function layoutBelow(prefix: string, varying: Varying): Endpoints {
  return {
    enroll: `${prefix}/enroll`,
    config: `${prefix}/config`,
    log: `${prefix}/log`,
    read: `${prefix}/${varying.read}`,
    write: `${prefix}/${varying.write}`,
    carveStart: `${prefix}/${varying.carveStart}`,
    carveBlock: `${prefix}/${varying.carveBlock}`,
  }
}
