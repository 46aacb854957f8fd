/** file, hash and carves: the tables that look at the real file system, for the paths named in the SQL text. */
import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstatSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expandGlob, literalConstraints } from './sql-literals.ts'
import type { TableRow, TableSet } from './sql-types.ts'

/** Bounds one query's walk over the file system. */
const MAX_PATHS = 512
/** osquery's `read_max`: larger files are not hashed. */
const MAX_HASHED_BYTES = 50 * 1024 * 1024

/** Tables constrained by path. Without a literal `path` or `directory` they are empty, as in osquery. */
export const FILE_TABLES = {
  file: {
    columns:
      'path TEXT, directory TEXT, filename TEXT, inode BIGINT, uid BIGINT, gid BIGINT, mode TEXT, device BIGINT,' +
      ' size BIGINT, block_size INTEGER, atime BIGINT, mtime BIGINT, ctime BIGINT, btime BIGINT, hard_links INTEGER,' +
      ' symlink INTEGER, type TEXT',
    isVolatile: true,
    rows: ({ sql }) => constrainedPaths(sql).flatMap(fileRow),
  },
  hash: {
    columns: 'path TEXT, directory TEXT, md5 TEXT, sha1 TEXT, sha256 TEXT',
    isVolatile: true,
    rows: ({ sql }) => constrainedPaths(sql).flatMap(hashRow),
  },
  carves: {
    columns:
      'time BIGINT, sha256 TEXT, size INTEGER, path TEXT, status TEXT, carve_guid TEXT, request_id TEXT, carve INTEGER',
    isVolatile: true,
    rows: ({ carveRows }) => carveRows(),
  },
} satisfies TableSet

/** Paths that the SQL text names: literals as they are, globs expanded, and what lies in a named `directory`. */
export function constrainedPaths(sql: string): string[] {
  const byPath = literalConstraints(sql, 'path')
  const byDirectory = literalConstraints(sql, 'directory')
  return [
    ...new Set([
      ...byPath.equal,
      ...byPath.like.flatMap((pattern) => expandGlob(pattern, MAX_PATHS)),
      ...byDirectory.equal.flatMap((folder) => expandGlob(`${folder}/%`, MAX_PATHS)),
    ]),
  ].slice(0, MAX_PATHS)
}

function fileRow(file: string): TableRow[] {
  const stats = statsOf(file)
  if (!stats) return []
  return [
    {
      path: file,
      directory: path.dirname(file),
      filename: path.basename(file),
      inode: stats.ino,
      uid: stats.uid,
      gid: stats.gid,
      mode: `0${(stats.mode & 0o777).toString(8)}`,
      device: stats.rdev,
      size: stats.size,
      block_size: stats.blksize,
      atime: Math.floor(stats.atimeMs / 1000),
      mtime: Math.floor(stats.mtimeMs / 1000),
      ctime: Math.floor(stats.ctimeMs / 1000),
      btime: Math.floor(stats.birthtimeMs / 1000),
      hard_links: stats.nlink,
      symlink: stats.isSymbolicLink() ? 1 : 0,
      type: fileType(stats),
    },
  ]
}

function statsOf(file: string): Stats | undefined {
  try {
    return lstatSync(file)
  } catch {
    return undefined
  }
}

function fileType(stats: Stats): string {
  if (stats.isFile()) return 'regular'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  return 'unknown'
}

function hashRow(file: string): TableRow[] {
  try {
    if (lstatSync(file).size > MAX_HASHED_BYTES) return []
    const content = readFileSync(file)
    const digest = (algorithm: string) => createHash(algorithm).update(content).digest('hex')
    return [
      {
        path: file,
        directory: path.dirname(file),
        md5: digest('md5'),
        sha1: digest('sha1'),
        sha256: digest('sha256'),
      },
    ]
  } catch {
    // Missing, a folder, or not ours to read: osquery has no row either.
    return []
  }
}
