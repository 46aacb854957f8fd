/** Packs files as osqueryd's carver does and cuts the archive into blocks (specification 6.3). */
import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'

/** A carve's way, as the carves table shows it. */
export type CarveStatus = 'SCHEDULED' | 'PENDING' | 'SUCCESS' | 'ARCHIVE FAILED' | 'DATA POST FAILED'

/** A carve that a query, or a caller, asked for. */
export interface CarveRecord {
  readonly guid: string
  readonly requestId: string
  readonly paths: readonly string[]
  readonly timeSeconds: number
  status: CarveStatus
  /** SHA-256 of the uploaded archive in hex; "" before it is packed. */
  sha256: string
  /** Size of the archive; -1 before it is packed. */
  sizeBytes: number
  /** Why it failed, for people. */
  problem: string
}

/**
 * Packs the regular files among the paths into a pax tar. Entry names are the full staging paths of osquery >= 5.5;
 * paths that do not exist and folders are skipped silently, so that an empty carve is still a small archive.
 */
export async function packArchive(guid: string, paths: readonly string[]): Promise<Buffer> {
  const archive = pack()
  const collected = buffer(archive)
  for (const file of paths) {
    const stats = await statsOf(file)
    if (!stats?.isFile()) continue
    const content = await readFile(file)
    archive.entry(
      {
        name: entryName(guid, file),
        size: content.byteLength,
        mode: stats.mode & 0o777,
        mtime: stats.mtime,
        pax: { atime: String(stats.atimeMs / 1000), mtime: String(stats.mtimeMs / 1000) },
      },
      content,
    )
  }
  archive.finalize()
  return collected
}

/** Name of a file inside the archive, e.g. `/tmp/osquery_carve_<guid>/etc/hosts`; a drive `C:` becomes `C`. */
export function entryName(guid: string, file: string): string {
  const isOnDrive = /^[A-Za-z]:/.test(file)
  const absolute = isOnDrive ? `/${file.replace(':', '').replaceAll('\\', '/')}` : path.resolve(file)
  return `/tmp/osquery_carve_${guid}${absolute}`
}

/** Number of blocks of an archive. */
export function blockCount(archiveBytes: number, blockBytes: number): number {
  return Math.ceil(archiveBytes / blockBytes)
}

/** Block `index` (from 0): every block but the last has exactly `blockBytes`. */
export function blockAt(archive: Buffer, index: number, blockBytes: number): Buffer {
  return archive.subarray(index * blockBytes, (index + 1) * blockBytes)
}

/** SHA-256 in hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function statsOf(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file)
  } catch {
    return undefined
  }
}
