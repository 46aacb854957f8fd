/** Limits of the agent plane. Each says where it comes from. Bytes are inflated bytes unless said otherwise. */

const KIB = 1_024
const MIB = 1_024 * KIB

/** An agent gives up at 16 s (spec 1.3) and the guard at 9 s; every binding call ends before (design R10). */
export const ANSWER_WITHIN_MS = 8_000
/** enroll, config, distributed read, carve begin: the largest real one (enroll) is about 4 KiB. */
export const MAX_SMALL_BODY_BYTES = 256 * KIB
/** A log POST inflated. Agents may send 1,024 lines of 1 MiB (spec 4.4), so beyond this: quarantine. */
export const MAX_LOG_BODY_BYTES = 64 * MIB
/** A distributed write. There is no limit on the agent's side (spec 5.4). */
export const MAX_WRITE_BODY_BYTES = 64 * MIB
/**
 * How far a body of an agent before 5.23.0 is looked through, inflated, for the node key at its end. Beyond the limits
 * above it is put aside, but only if it is known whose it is; Cloudflare takes 100 to 500 MB from such clients.
 */
export const MAX_KEY_SEARCH_BYTES = 256 * MIB
/** A carve block as JSON: 16 MiB of data are 21.4 MiB of base64. */
export const MAX_BLOCK_BODY_BYTES = 24 * MIB
/** A body that is not larger than this is held whole; larger ones are streamed (design 4, Logs). */
export const MAX_BUFFERED_BODY_BYTES = 1 * MIB
/** An isolate has 128 MB for all of its requests; beyond this many bytes in flight: retry (design 4, Logs). */
export const MAX_IN_FLIGHT_BYTES = 32 * MIB
/** D1 is one writer; more enrolls than this at once in one isolate would only queue up (design 4, Enroll). */
export const MAX_ENROLLS_IN_FLIGHT = 20
/** Enrolls with unknown secrets that wait for a fresh directory in one isolate; who comes with a known one never waits. */
export const MAX_SECRETS_LOOKED_UP = 200
/** How long enroll waits for D1 (design 4, Enroll). */
export const ENROLL_D1_WITHIN_MS = 4_000
