import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SimulatedAgent } from '../../src/simulator/agent.ts'
import type { Platform } from '../../src/simulator/host.ts'
import { expandGlob, literalConstraints } from '../../src/simulator/sql-literals.ts'

const agentOn = (platform: Platform, seed = '1') =>
  new SimulatedAgent({ url: 'http://127.0.0.1:1', enrollSecret: '', platform, seed })
const rows = (agent: SimulatedAgent, sql: string) => {
  const result = agent.runSql(sql)
  if (!result.ok) throw new Error(result.reason)
  return result.value
}
const agent = agentOn('linux')

describe('values as osquery gives them', () => {
  it('are strings, whatever their type, and NULL is the empty string', () => {
    const sql = "SELECT 1 i, 2.5 d, -1.0 negd, NULL n, '' e, 9223372036854775807 big, 'ünï' t"
    expect(rows(agent, sql)).toEqual([
      { i: '1', d: '2.5', negd: '-1.0', n: '', e: '', big: '9223372036854775807', t: 'ünï' },
    ])
  })

  it('collapse when two columns share a name', () => {
    expect(rows(agent, 'SELECT 1 a, 2 a')).toEqual([{ a: '2' }])
  })
})

describe('errors as osquery reports them', () => {
  it.each([
    ['SELECT * FROM nope', 'no such table: nope'],
    ['selec', 'near "selec": syntax error'],
    ['SELECT nope FROM users', 'no such column: nope'],
    ["ATTACH 'x.db' AS x", 'not authorized'],
    ['CREATE TABLE x (a)', 'not authorized'],
    ['DELETE FROM users', 'no such table: users|not authorized'],
  ])('%s', (sql, message) => {
    const result = agent.runSql(sql)
    expect(result.ok ? '' : result.reason).toMatch(new RegExp(`^(${message})$`))
  })

  it("say that another platform's table does not exist", () => {
    expect(agent.runSql('SELECT * FROM programs').ok).toBe(false)
    expect(agentOn('windows').runSql('SELECT * FROM programs').ok).toBe(true)
    expect(agentOn('windows').runSql('SELECT * FROM deb_packages').ok).toBe(false)
    expect(agentOn('darwin').runSql('SELECT * FROM mounts').ok).toBe(true)
  })
})

describe('tables', () => {
  it.each(['linux', 'darwin', 'windows'] as const)(
    'on %s have rows for every name in the design',
    (platform) => {
      const everywhere =
        'osquery_info os_version system_info platform_info users groups processes uptime time listening_ports' +
        ' interface_addresses kernel_info etc_hosts osquery_flags'
      const machine = agentOn(platform)
      for (const table of everywhere.split(' '))
        expect(rows(machine, `SELECT * FROM ${table}`), table).not.toEqual([])
    },
  )

  it("join, aggregate and have osquery's own functions", () => {
    const sql =
      "SELECT split(path, '/', 1) AS part, count(*) AS n FROM processes JOIN users USING (uid) GROUP BY part"
    expect(rows(agent, sql)[0]).toMatchObject({ part: 'sbin' })
    expect(rows(agent, "SELECT regex_match('a1b', '[0-9]', 0) AS m")).toEqual([{ m: '1' }])
  })

  it('differ by seed and agree for equal seeds', () => {
    const uuid = 'SELECT uuid, hostname, hardware_serial FROM system_info'
    expect(rows(agentOn('linux', 'a'), uuid)).toEqual(rows(agentOn('linux', 'a'), uuid))
    expect(rows(agentOn('linux', 'a'), uuid)).not.toEqual(rows(agentOn('linux', 'b'), uuid))
  })
})

describe('tables of the real file system', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'agent-test-'))
    mkdirSync(path.join(folder, 'deep'))
    for (const file of ['a.txt', 'b.txt', 'deep/c.txt']) writeFileSync(path.join(folder, file), file)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('show what the SQL text names', () => {
    expect(rows(agent, `SELECT filename, size, type FROM file WHERE path = '${folder}/a.txt'`)).toEqual([
      { filename: 'a.txt', size: '5', type: 'regular' },
    ])
    expect(rows(agent, `SELECT filename FROM file WHERE path LIKE '${folder}/%.txt'`)).toHaveLength(2)
    expect(rows(agent, `SELECT * FROM file WHERE path = '${folder}/none'`)).toEqual([])
    expect(rows(agent, `SELECT sha256 FROM hash WHERE path = '${folder}/a.txt'`)[0]?.sha256).toMatch(
      /^[0-9a-f]{64}$/,
    )
  })

  it('expand % within a folder, %% below it, and stop at the bound', () => {
    expect(expandGlob(`${folder}/%.txt`, 10)).toEqual([`${folder}/a.txt`, `${folder}/b.txt`])
    expect(expandGlob(`${folder}/%%`, 10)).toContain(`${folder}/deep/c.txt`)
    expect(expandGlob(`${folder}/%%`, 2)).toHaveLength(2)
  })

  it('find literals in the text', () => {
    expect(
      literalConstraints(`SELECT 1 WHERE path='it''s' OR path IN ('a', "b") OR path LIKE 'c%'`, 'path'),
    ).toEqual({
      equal: ["it's", 'a', 'b'],
      like: ['c%'],
    })
  })

  it('schedule a carve and show its row', () => {
    const machine = agentOn('linux')
    const sql = `SELECT * FROM carves WHERE carve=1 AND path LIKE '${folder}/%.txt'`
    const [row] = rows(machine, sql)
    expect(row).toMatchObject({
      sha256: '',
      size: '-1',
      status: 'SCHEDULED',
      carve: '1',
      path: `${folder}/a.txt,${folder}/b.txt`,
    })
    expect(machine.carves.map((carve) => carve.guid)).toEqual([row?.carve_guid])
    expect(rows(machine, 'SELECT carve_guid, carve FROM carves')).toEqual([
      { carve_guid: row?.carve_guid, carve: '0' },
    ])
  })

  it('schedule a carve of what is handed to carve(path)', () => {
    const machine = agentOn('linux')
    const sql = `SELECT carve(path) AS told FROM file WHERE path LIKE '${folder}/%.txt'`
    expect(rows(machine, sql)).toEqual([{ told: 'Carve Started' }])
    expect(machine.carves).toMatchObject([{ paths: [`${folder}/a.txt`, `${folder}/b.txt`] }])
  })

  it('schedule no carve for wrong SQL, or when nothing matches', () => {
    const machine = agentOn('linux')
    machine.runSql(`SELECT nope FROM carves WHERE carve=1 AND path='${folder}/a.txt'`)
    machine.runSql(`SELECT * FROM carves WHERE carve=1 AND path LIKE '${folder}/none%'`)
    machine.runSql(`SELECT * FROM carves WHERE path='${folder}/a.txt'`)
    expect(machine.carves).toEqual([])
  })
})
