/** The kinds of destinations that there are. */

import { elasticsearchKind } from './elasticsearch.ts'
import { httpsKind } from './https.ts'
import { s3Kind } from './s3.ts'
import type { SinkKind } from './sink-kind.ts'
import { splunkHecKind } from './splunk-hec.ts'

/** Settings and secrets are read by the kind's own schemas first; TypeScript cannot follow that through a table. */
export const SINK_KINDS: readonly SinkKind[] = [
  httpsKind as SinkKind,
  splunkHecKind as SinkKind,
  elasticsearchKind as SinkKind,
  s3Kind as SinkKind,
]

/** The kind of that name; undefined where this version has none: the sink of a later one, after a rollback. */
export function kindOf(name: string): SinkKind | undefined {
  return SINK_KINDS.find((kind) => kind.name === name)
}
