/** An environment of a fleet's own, so that runs do not mix. */
import type { JsonObject } from '../json.ts'
import type { OperatorClient } from './operator-client.ts'

export interface FleetEnvironment {
  /** UUID or name. */
  readonly id: string
  readonly name: string
  readonly enrollSecret: string
}

/** Makes an environment with a secret and this configuration. */
export async function makeEnvironment(
  client: OperatorClient,
  name: string,
  configuration: JsonObject,
): Promise<FleetEnvironment> {
  const { id } = await client.json<{ id: string }>('POST', '/environments', { name })
  await client.call('PUT', `/environments/${id}/configuration`, configuration)
  const { secret } = await client.json<{ secret: string }>('POST', `/environments/${id}/enroll-secrets`, {
    name: 'simulator',
  })
  return { id, name, enrollSecret: secret }
}

/** A run does not last a day: the daily look at the inventory comes each minute of the fleet's own time. */
export async function lookOften(client: OperatorClient, environment: string, tempo: number): Promise<void> {
  const path = `/environments/${environment}/built-in-queries`
  const { cost } = await client.json<{ cost: unknown }>('GET', path)
  await client.call('PUT', path, { cost, inventory: { intervalS: Math.max(1, Math.round(60 / tempo)) } })
}
