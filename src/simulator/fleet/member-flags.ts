/** The flagfile of a member: what an operator of a real fleet would have rolled out with that release. */
import { dialectOf } from '../dialect.ts'
import type { Flags } from '../settings.ts'
import type { MemberPlan } from './roster.ts'

/** Small blocks, so that small files have several. */
const CARVE_BLOCK_BYTES = 16_384

/** Flags over the defaults. The server's options change those that osqueryd lets it change. */
export function flagsOf({ isGzip, travel, version }: MemberPlan): Flags {
  return {
    logger_tls_compress: String(isGzip),
    logger_tls_period: '10',
    carver_block_size: String(CARVE_BLOCK_BYTES),
    ...(travel && { buffered_log_max: String(travel.maxBufferedLines) }),
    // Flags of later releases would stop an older osqueryd.
    ...(dialectOf(version).hasGzipReplies && { tls_accept_gzip: String(isGzip) }),
  }
}
