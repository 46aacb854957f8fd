/** Lines as objects of an S3-compatible bucket, in the layout of the archive. Pure but for hashing and gzip. */

import { concatBytes, hexOf, sha256, utf8, type Bytes } from '../../lib/bytes.ts'
import { gzip } from '../../lib/compression.ts'
import { hourOf } from '../archive-object.ts'
import { envelopeOfLine, type ArchivedLine } from '../line.ts'

export interface S3Object {
  key: string
  /** Gzip of NDJSON: our envelopes. */
  body: Bytes
  /** The places of its lines in the list. */
  lines: readonly number[]
}

/**
 * One object for each environment, type and hour among the lines, under
 * `<prefix>environment=…/type=…/date=…/hour=…/<name>.ndjson.gz` as in the archive. The name is the hash of the event
 * ids, so that the same lines sent again overwrite themselves.
 */
export async function s3ObjectsOf(prefix: string, lines: readonly ArchivedLine[]): Promise<S3Object[]> {
  const groups = Map.groupBy(lines.keys(), (at) => folderOf(lines[at]))
  return Promise.all([...groups].map(([folder, places]) => objectOf(`${prefix}${folder}`, places, lines)))
}

function folderOf(line: ArchivedLine | undefined): string {
  if (line === undefined) throw new Error('a place in the list names a line')
  const { environment, type, receivedAt } = line.header
  const [date, hour] = hourOf(Date.parse(receivedAt)).split('T')
  return `environment=${environment}/type=${type}/date=${date}/hour=${hour}/`
}

async function objectOf(
  folder: string,
  places: readonly number[],
  lines: readonly ArchivedLine[],
): Promise<S3Object> {
  const own = places.map((at) => lines[at]).filter((line) => line !== undefined)
  const ids = own.map(({ header }) => header.eventId).sort()
  const name = hexOf((await sha256(utf8(ids.join('\n')))).subarray(0, 16))
  return {
    key: `${folder}${name}.ndjson.gz`,
    body: await gzip(concatBytes(own.map(envelopeOfLine))),
    lines: places,
  }
}
