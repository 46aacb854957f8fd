/** The machine that an agent pretends to run on: everything about it follows from platform and seed. */
import { SeededChoice } from './rng.ts'

export type Platform = 'linux' | 'darwin' | 'windows'

/** How osqueryd names its host (specification 2.1.1). */
export type HostIdentifierKind = 'hostname' | 'uuid' | 'instance' | 'ephemeral' | 'specified'

/** The unchanging facts of a simulated machine. */
export interface SimulatedHost {
  readonly platform: Platform
  readonly seed: string
  readonly choice: SeededChoice
  readonly hostname: string
  /** Hardware UUID; upper case on macOS and Windows, as there. */
  readonly uuid: string
  readonly serial: string
  readonly vendor: string
  readonly model: string
  readonly cpuBrand: string
  readonly cores: number
  readonly memoryBytes: number
  readonly address: string
  readonly mac: string
  /** Names of the people with an account, for users, home directories and process owners. */
  readonly people: readonly string[]
  /** How long the machine had been up when the agent started. */
  readonly uptimeAtStartSeconds: number
}

/** `platform_type` of enroll: osquery's platform mask (specification 2.1). */
export const PLATFORM_MASK: Readonly<Record<Platform, string>> = { linux: '9', darwin: '21', windows: '2' }

const PEOPLE = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi', 'ivan', 'judy'] as const

type Model = readonly [vendor: string, model: string]

const MODELS: Readonly<Record<Platform, readonly [Model, ...Model[]]>> = {
  linux: [
    ['Dell Inc.', 'PowerEdge R240'],
    ['Lenovo', 'ThinkPad T14 Gen 3'],
    ['HPE', 'ProLiant DL360 Gen10'],
  ],
  darwin: [
    ['Apple Inc.', 'MacBookPro18,3'],
    ['Apple Inc.', 'Mac14,2'],
    ['Apple Inc.', 'Macmini9,1'],
  ],
  windows: [
    ['Dell Inc.', 'Latitude 5440'],
    ['HP', 'HP EliteBook 840 G10'],
    ['Microsoft Corporation', 'Surface Laptop 5'],
  ],
}

const HOSTNAME_PREFIX = { linux: 'web', darwin: 'mac', windows: 'DESKTOP' } as const

/** Makes up a machine. Equal arguments give an equal machine, in any process. */
export function createHost(platform: Platform, seed: string): SimulatedHost {
  const choice = new SeededChoice(`${platform}:${seed}`)
  const uuid = choice.uuid('hardware-uuid')
  const [vendor, model] = choice.pick('model', MODELS[platform])
  const peopleCount = 1 + choice.integer('people', 3)
  const firstPerson = choice.integer('first-person', PEOPLE.length)
  const octet = (label: string) => 1 + choice.integer(label, 254)
  const macHex = choice.hex('mac', 10)
  return {
    platform,
    seed,
    choice,
    hostname: `${HOSTNAME_PREFIX[platform]}-${choice.hex('hostname', 6)}`,
    uuid: platform === 'linux' ? uuid : uuid.toUpperCase(),
    serial: choice.hex('serial', 8).toUpperCase(),
    vendor,
    model,
    cpuBrand: platform === 'darwin' ? 'Apple M2' : 'Intel(R) Xeon(R) E-2236 CPU @ 3.40GHz',
    cores: choice.pick('cores', [4, 8, 12, 16]),
    memoryBytes: choice.pick('memory', [8, 16, 32, 64]) * 1024 ** 3,
    address: `10.${octet('ip-1')}.${octet('ip-2')}.${octet('ip-3')}`,
    mac: `02:${macHex.match(/../g)?.join(':') ?? ''}`,
    people: Array.from(
      { length: peopleCount },
      (_, i) => PEOPLE[(firstPerson + i) % PEOPLE.length] ?? 'alice',
    ),
    uptimeAtStartSeconds: 600 + choice.integer('uptime', 30 * 86_400),
  }
}
