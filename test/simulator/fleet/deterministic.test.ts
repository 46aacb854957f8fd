/**
 * What follows from the seed alone: who is in a fleet, what their machines hold, what happens to each of them the n-th
 * time that it may. When it happens is real time's business, and ids that must be unique in the world are random.
 */
import { describe, expect, onTestFinished, test } from 'vitest'
import { SimulatedAgent } from '../../../src/simulator/agent.ts'
import { madeUpFile } from '../../../src/simulator/fleet/carve-ledger.ts'
import { Dice } from '../../../src/simulator/fleet/dice.ts'
import { LossyTransport } from '../../../src/simulator/fleet/lossy-transport.ts'
import { PROFILES } from '../../../src/simulator/fleet/profiles.ts'
import type { MemberPlan } from '../../../src/simulator/fleet/roster.ts'
import { makeRoster } from '../../../src/simulator/fleet/roster.ts'
import { startScriptedServer } from '../scripted-server.ts'

const PROFILE = { ...PROFILES.office, travelShare: 0.2 }

/** What a member answers to SQL at one moment. */
function rowsOf({ instanceId, machineSeed, platform, version }: MemberPlan) {
  const agent = new SimulatedAgent({
    url: 'http://127.0.0.1:1',
    enrollSecret: 's',
    seed: machineSeed,
    platform,
    version,
    pid: 1,
    now: () => 1_800_000_000_000,
    state: {
      format: 1,
      uuid: '',
      instanceId,
      nodeKey: '',
      lines: [],
      remembered: {},
      queue: {},
      accelerateUntilMs: 0,
      carves: [],
    },
  })
  const rows = ['system_info', 'osquery_info', 'os_version', 'users', 'processes', 'uptime'].map((table) =>
    agent.runSql(`SELECT * FROM ${table}`),
  )
  agent.close()
  return rows
}

describe('from one seed come the same', () => {
  const [first, second, other] = ['s', 's', 't'].map((seed) => makeRoster(PROFILE, 40, seed, 60_000))

  test('members: version, platform, clock, travels, start', () => {
    expect(first).toEqual(second)
    expect(first).not.toEqual(other)
    expect(first?.filter(({ travel }) => travel).length).toBeGreaterThan(2)
  })

  test('rows of every machine', () => {
    for (const [i, plan] of (first ?? []).slice(0, 5).entries()) {
      const twin = second?.[i]
      const stranger = other?.[i]
      expect(twin && rowsOf(twin)).toEqual(rowsOf(plan))
      expect(stranger && rowsOf(stranger)).not.toEqual(rowsOf(plan))
    }
  })

  test('files', () => {
    expect(madeUpFile('s/1', '/x')).toEqual(madeUpFile('s/1', '/x'))
    for (const [seed, path] of [
      ['s/2', '/x'],
      ['s/1', '/y'],
    ] as const)
      expect(madeUpFile(seed, path).content).not.toEqual(madeUpFile('s/1', '/x').content)
  })

  test('losses on each member’s way, whatever the others do', async () => {
    const server = await startScriptedServer()
    onTestFinished(() => server.close())
    const losses = async (othersBetween: number): Promise<string[]> => {
      const options = { timeoutMs: 16_000, keepAlive: true, transparentResend: false }
      const transport = new LossyTransport(options, 0.5, new Dice('x'))
      onTestFinished(() => transport.close())
      const [sender, noise] = [transport.senderFor('s/1'), transport.senderFor('s/2')]
      const post = (through: typeof sender) =>
        through.post(`${server.url}/api/osquery/log`, {}, Buffer.from('{}'))
      const seen: string[] = []
      for (let i = 0; i < 20; i += 1) {
        for (let n = 0; n < othersBetween; n += 1) await post(noise)
        const before = transport.lostReplies
        const { kind } = await post(sender)
        seen.push(`${kind}, ${transport.lostReplies - before} lost`)
      }
      return seen
    }
    const alone = await losses(0)
    expect(new Set(alone).size).toBeGreaterThan(1)
    expect(await losses(2)).toEqual(alone)
  })
})
