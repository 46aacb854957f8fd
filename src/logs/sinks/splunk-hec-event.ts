/** A line as an event of Splunk's HTTP Event Collector. Pure. */

import { concatBytes, strictTextOf, textOf, utf8, type Bytes } from '../../lib/bytes.ts'
import type { ArchivedLine, LineHeader } from '../line.ts'
import { objectOfJson, textOfScalar } from './json-object.ts'
import { eventTimeMs } from './event-time.ts'

export interface HecEventOptions {
  source: string
  /** Null: the token's own. */
  index: string | null
}

const END = utf8('}\n')

/**
 * One event: time in seconds with milliseconds, metadata on every event, our facts as indexed fields (`fields` is flat),
 * and the agent's line as it wrote it. Events of a request follow each other; they are no array.
 */
export function hecEventOf({ header, line }: ArchivedLine, options: HecEventOptions): Bytes {
  const agentLine = objectOfJson(line)
  const { source, index } = options
  const rest = {
    host: header.hostname ?? textOfScalar(agentLine?.['hostIdentifier']) ?? header.nodeId ?? 'osquery-edge',
    source,
    sourcetype: `osquery:${header.type}`,
    ...(index === null ? {} : { index }),
    fields: fieldsOf(header),
  }
  const seconds = (eventTimeMs(header, agentLine) / 1_000).toFixed(3)
  const head = `{"time":${seconds},${JSON.stringify(rest).slice(1, -1)},"event":`
  // HEC takes UTF-8 alone (code 6 otherwise); what is not becomes U+FFFD, and the archive keeps the bytes.
  const event = strictTextOf(line) === null ? utf8(textOf(line)) : line
  return concatBytes([utf8(head), event, END])
}

/** Splunk does not look for doubles: `| dedup event_id` does. Values are texts or lists of texts (HEC code 15). */
function fieldsOf(header: LineHeader): Record<string, string | readonly string[]> {
  const fields: Record<string, string | readonly string[] | null> = {
    event_id: header.eventId,
    environment: header.environment,
    node_id: header.nodeId,
    platform: header.platform,
    pack: header.pack,
    query: header.query,
    configuration_version: header.configurationVersion === null ? null : String(header.configurationVersion),
    tags: header.tags.length === 0 ? null : header.tags,
  }
  const present: Record<string, string | readonly string[]> = {}
  for (const [name, value] of Object.entries(fields)) if (value !== null) present[name] = value
  return present
}
