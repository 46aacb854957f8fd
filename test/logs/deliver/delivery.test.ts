/** Sinks on the whole Worker: from the archive's index to a destination that behaves, or does not. */

import '../../support/workerd-crypto.ts'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../../support/harness.ts'
import {
  idsNamed,
  linesNamed,
  newWorld,
  startHttpsServer,
  untilTaken,
  type HttpsServer,
  type SinkWorld,
} from './support.ts'

let server: TestServer
let world: SinkWorld
const destinations: HttpsServer[] = []
beforeAll(async () => {
  server = await startServer()
}, 30_000)
afterAll(() => server.close())
afterEach(async () => {
  for (const destination of destinations.splice(0)) await destination.close()
})

async function newDestination(): Promise<HttpsServer> {
  const destination = await startHttpsServer()
  destinations.push(destination)
  world = await newWorld(server)
  return destination
}

describe('delivery', () => {
  it('brings what is archived, in the order of the archive', async () => {
    const destination = await newDestination()
    await world.makeSink(destination)
    const ids = idsNamed('a', 20)
    await world.archive(linesNamed(ids.slice(0, 12)), linesNamed(ids.slice(12)))
    await untilTaken(server, destination, ids)
    const taken = destination.batches.flatMap(({ lines }) => lines.map(({ eventId }) => eventId))
    expect(taken).toEqual(ids)
  })
})
