/** Step: a file of the agent's machine is asked for, uploaded in blocks, downloaded and equal. */

import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import { z } from 'zod'

import { entryName, sha256Hex } from '../../simulator/carve.ts'
import type { OperatorApi } from './operator-api.ts'
import type { Seen } from './report.ts'
import { WalkFailure, expect, valueOf } from './report.ts'
import type { Carve } from './shapes.ts'
import { carve } from './shapes.ts'
import { until } from './wait.ts'
import type { WalkingAgent } from './walking-agent.ts'

/** Eight blocks of 1 MiB: more than one R2 part (5 MiB at least), and a last block that is shorter. */
const FILE_BYTES = 7 * 1_024 * 1_024 + 4_321
const ASKED = { withinMs: 15_000, everyMs: 250 }
/** The archive is put together after the last block. */
const COMPLETE = { withinMs: 15_000, everyMs: 250 }

/** What must still be there after a restart. */
export interface CarvedFile {
  id: string
  archiveSha256: string
}

/** Carves a file of random bytes. */
export async function carveFile(
  walking: WalkingAgent,
  api: OperatorApi,
  folder: string,
): Promise<Seen<CarvedFile>> {
  const { agent, nodeId } = walking
  const path = join(folder, 'walk to carve.bin')
  const content = randomBytes(FILE_BYTES)
  await writeFile(path, content)
  await api.post('/carves', { path, targets: { nodes: [nodeId] } }, z.unknown())
  const record = await takeOrder(walking, path)
  await agent.carvePending()
  expect(record.status === 'SUCCESS', `the agent's carve is ${record.status}: ${record.problem}`)
  const complete = await until('the carve complete', COMPLETE, () => findComplete(api, record.guid))
  const { sha256, bytes, blockCount, blocksReceived } = complete
  expect(sha256 === record.sha256, `the archive's SHA-256 is said to be ${sha256}, not ${record.sha256}`)
  expect(
    bytes === record.sizeBytes && blocksReceived === blockCount && blockCount !== null,
    `${bytes} bytes in ${blocksReceived} of ${blockCount} blocks, not ${record.sizeBytes} bytes`,
  )
  expect(
    complete.nodeId === nodeId && complete.path === path,
    `it is said to be ${complete.path} of ${complete.nodeId}`,
  )
  expect(complete.queryId !== null, 'the carve does not name its query')
  const archive = await download(api, complete.id, record.sha256)
  const inside = await fileIn(archive, entryName(record.guid, path))
  expect(inside.equals(content), 'the file in the archive is not the file that was carved')
  return {
    value: { id: complete.id, archiveSha256: record.sha256 },
    detail: `${blockCount} blocks, archive and file equal (${record.sizeBytes} bytes)`,
  }
}

/** Downloads an archive and compares its hash. */
export async function download(api: OperatorApi, id: string, wantedSha256: string): Promise<Uint8Array> {
  const archive = await api.bytes(`/carves/${id}/archive`)
  const sha256 = sha256Hex(archive)
  expect(sha256 === wantedSha256, `the downloaded archive has the SHA-256 ${sha256}, not ${wantedSha256}`)
  return archive
}

/** The agent polls until it was told to carve the path. */
async function takeOrder({ agent }: WalkingAgent, path: string) {
  return until('asked to carve', ASKED, async () => {
    const { read, write } = await agent.pollDistributed()
    valueOf(read, 'distributed read')
    if (write !== undefined) valueOf(write, 'distributed write')
    return agent.carves.find((record) => record.paths.includes(path))
  })
}

async function findComplete(api: OperatorApi, guid: string): Promise<Carve> {
  const carves = await api.all('/carves', carve)
  const ours = carves.filter(({ carveId }) => carveId === guid)
  expect(ours.length === 1, `${ours.length} of ${carves.length} carves have the id ${guid}`)
  const [first] = ours
  if (first?.status !== 'complete') throw new WalkFailure(`it is ${first?.status}`)
  return first
}

/** The content of the one file in an archive. */
async function fileIn(archive: Uint8Array, name: string): Promise<Buffer> {
  const entries = extract()
  entries.end(archive)
  const files: [string, Buffer][] = []
  for await (const entry of entries) files.push([entry.header.name, await buffer(entry)])
  const [first] = files
  expect(
    files.length === 1 && first?.[0] === name,
    `the archive has ${files.map(([found]) => found).join(', ')}, not ${name}`,
  )
  return first?.[1] ?? Buffer.alloc(0)
}
