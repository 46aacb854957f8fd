/** Packs files as osqueryd's carver does and cuts the archive into blocks (specification 6.3). */
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { zstdCompress } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Dialect } from './dialect.ts'
import { NEWEST_DIALECT } from './dialect.ts'

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

/** A regular file as the carver copies it. */
export interface CarvedFile {
  readonly content: Uint8Array
  /** Permission bits. */
  readonly mode: number
  readonly atimeMs: number
  readonly mtimeMs: number
}

/** The regular file at a path; undefined where there is none. */
export type ReadCarvedFile = (file: string) => Promise<CarvedFile | undefined>

export interface ArchiveOptions {
  readonly readFile?: ReadCarvedFile | undefined
  /** Pack into one zstd frame (`carver_compression`). Default false. */
  readonly isCompressed?: boolean
  readonly dialect?: Pick<Dialect, 'keepsCarvePaths' | 'keepsCarveTimes'>
}

const compress = promisify<Uint8Array, Buffer>(zstdCompress)

/**
 * Packs the regular files among the paths into a pax tar. Entry names are the full staging paths of osquery >= 5.5;
 * paths that do not exist and folders are skipped silently, so that an empty carve is still a small archive.
 */
export async function packArchive(
  guid: string,
  paths: readonly string[],
  { readFile: read = readRealFile, isCompressed = false, dialect = NEWEST_DIALECT }: ArchiveOptions = {},
): Promise<Buffer> {
  const archive = pack()
  const collected = buffer(archive)
  for (const path of paths) {
    const file = await read(path)
    if (!file) continue
    const { atimeMs, content, mode, mtimeMs } = file
    const times = {
      mtime: new Date(mtimeMs),
      pax: { atime: String(atimeMs / 1000), mtime: String(mtimeMs / 1000) },
    }
    const full = entryName(guid, path)
    const name = dialect.keepsCarvePaths ? full : full.slice(full.lastIndexOf('/') + 1)
    const header = { name, size: content.byteLength, mode, ...(dialect.keepsCarveTimes && times) }
    archive.entry(header, Buffer.from(content))
  }
  archive.finalize()
  return isCompressed ? compress(await collected) : collected
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

async function readRealFile(file: string): Promise<CarvedFile | undefined> {
  try {
    const stats = await stat(file)
    if (!stats.isFile()) return undefined
    const { atimeMs, mode, mtimeMs } = stats
    return { content: await readFile(file), mode: mode & 0o777, atimeMs, mtimeMs }
  } catch (error) {
    // A path that is not there is skipped; one that may not be read fails the carve.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined
    throw error
  }
}
