/** What a node can be seen doing. The order is the order of columns in stored chunks: append only. */
export const PRESENCE_KINDS = ['enroll', 'config', 'log', 'read', 'write', 'carve'] as const
export type PresenceKind = (typeof PRESENCE_KINDS)[number]

/** When a node was last seen, by kind of request, in seconds since 1970; 0: never. */
export interface LastSeen {
  ordinal: number
  atS: Record<PresenceKind, number>
  /** The configuration version that it was last served; 0: none. */
  configurationVersion: number
  /** What its requests said beside; missing where none did. */
  agent?: AgentFacts
}

/** What a node's requests last said of their agent. */
export interface AgentFacts {
  /** Empty: none said it. */
  osqueryVersion: string
  /** Where it was last seen, and since when, in seconds; null: nobody says (no Cloudflare before the Worker). */
  address: { ip: string; sinceS: number } | null
}

/** What a request says of its agent beside its body: rides on a flush when it is new to the isolate, and now and then. */
export interface RideAlong {
  ordinal: number
  atS: number
  /** From the User-Agent; empty where it names no osquery. */
  osqueryVersion: string
  /** As Cloudflare saw it; empty where nobody says. */
  ip: string
  /** When the node key was issued that it came with; 0: it came without (carve blocks). */
  keyIssuedAtS: number
}

/** One sighting inside a flush. */
export interface Sighting {
  ordinal: number
  kind: PresenceKind
  atS: number
  /** Set with kind `config`: the version that was served. */
  configurationVersion: number
}

/** Ordinals of one Presence object: 16 chunks of 4,096. */
export const ORDINALS_PER_OBJECT = 65_536

/** The Presence object that keeps an ordinal of an environment. */
export function presenceStub(env: Env, environmentId: string, ordinal: number) {
  return env.PRESENCE.getByName(`${environmentId}/${Math.floor(ordinal / ORDINALS_PER_OBJECT)}`)
}
