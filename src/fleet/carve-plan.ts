/**
 * How a carve is cut: what an agent announces at its start (spec 2.6), checked, and the R2 parts that its blocks are
 * gathered into. Pure.
 */

import { fail, ok, type Result } from '../lib/result.ts'

const KIB = 1_024
const MIB = 1_024 * KIB

/** Smaller blocks mean a POST and a TLS handshake for next to nothing; osquery's default is 8 KiB (spec 6.3). */
export const MIN_BLOCK_BYTES = 4 * KIB
/** A block must arrive within the agent's 16 s and lie in memory as base64 (spec 6.3). */
export const MAX_BLOCK_BYTES = 16 * MIB
/** Blocks under the minimum are taken in carves of so many at most: toys and tests, not a million POSTs. */
export const MAX_TINY_BLOCKS = 1_024
/** Fleet's limit too, and what one alarm can hash. */
export const MAX_CARVE_BYTES = 8 * 1_024 * MIB
/** R2: a part has at least 5 MiB, all parts are equal but the last, which is not larger (R2 multipart limits). */
export const MIN_PART_BYTES = 5 * MIB
/** R2: parts of one object (R2 multipart limits). */
export const MAX_PARTS = 10_000
/** Carve ids and request ids are UUIDs; before 4.7.0 a request id is a query's id (spec 2.6). */
export const MAX_ID_CHARS = 255

/** How a carve is cut into blocks. Every block has `blockSize` bytes but the last, which has the rest. */
export interface CarvePlan {
  blockSize: number
  blockCount: number
  carveSize: number
}

/** What an agent says at a carve's start; null where a number was missing or none. */
export interface AnnouncedCarve {
  carveId: string
  requestId: string
  blockSize: number | null
  blockCount: number | null
  carveSize: number | null
}

export type CarvePlanFault =
  | { kind: 'bad-id' }
  | { kind: 'not-a-number'; member: 'block_size' | 'block_count' | 'carve_size' }
  | { kind: 'carve-size'; carveSize: number }
  | { kind: 'block-size'; blockSize: number }
  | { kind: 'block-count'; blockCount: number; expected: number }
  | { kind: 'too-many-parts'; parts: number }

/** Checks an announcement. A fault is for good: the agent would only repeat it. */
export function planCarve(announced: AnnouncedCarve): Result<CarvePlan, CarvePlanFault> {
  const { carveId, requestId, blockSize, blockCount, carveSize } = announced
  if (carveId === '' || carveId.length > MAX_ID_CHARS || requestId.length > MAX_ID_CHARS)
    return fail({ kind: 'bad-id' })
  if (blockSize === null) return fail({ kind: 'not-a-number', member: 'block_size' })
  if (blockCount === null) return fail({ kind: 'not-a-number', member: 'block_count' })
  if (carveSize === null) return fail({ kind: 'not-a-number', member: 'carve_size' })
  if (carveSize < 1 || carveSize > MAX_CARVE_BYTES) return fail({ kind: 'carve-size', carveSize })
  if (blockSize < 1 || blockSize > MAX_BLOCK_BYTES) return fail({ kind: 'block-size', blockSize })
  const expected = Math.ceil(carveSize / blockSize)
  if (blockCount !== expected) return fail({ kind: 'block-count', blockCount, expected })
  if (blockSize < MIN_BLOCK_BYTES && blockCount > MAX_TINY_BLOCKS)
    return fail({ kind: 'block-size', blockSize })
  const plan = { blockSize, blockCount, carveSize }
  const parts = partCount(plan)
  return parts > MAX_PARTS ? fail({ kind: 'too-many-parts', parts }) : ok(plan)
}

/** How many bytes this block must have; null where the carve has no such block. */
export function blockBytes(plan: CarvePlan, blockId: number): number | null {
  const { blockSize, blockCount, carveSize } = plan
  if (!Number.isSafeInteger(blockId) || blockId < 0 || blockId >= blockCount) return null
  return blockId === blockCount - 1 ? carveSize - blockId * blockSize : blockSize
}

/** Whether each block is an R2 part of its own: then it is streamed there, not gathered. */
export function isBlockAPart(plan: CarvePlan): boolean {
  return plan.blockSize >= MIN_PART_BYTES
}

/** How many blocks make one part: the fewest that reach R2's minimum, so that all parts are equal. */
export function blocksPerPart(plan: CarvePlan): number {
  return Math.ceil(MIN_PART_BYTES / plan.blockSize)
}

/** How many parts the archive has. One part means a plain put. */
export function partCount(plan: CarvePlan): number {
  return Math.ceil(plan.blockCount / blocksPerPart(plan))
}

/** The part, from 1, that a block belongs to. */
export function partOfBlock(plan: CarvePlan, blockId: number): number {
  return Math.floor(blockId / blocksPerPart(plan)) + 1
}

/** The blocks of a part and their bytes in all. */
export function blocksOfPart(
  plan: CarvePlan,
  part: number,
): { firstBlockId: number; blocks: number; bytes: number } {
  const firstBlockId = (part - 1) * blocksPerPart(plan)
  const blocks = Math.min(blocksPerPart(plan), plan.blockCount - firstBlockId)
  const start = firstBlockId * plan.blockSize
  return { firstBlockId, blocks, bytes: Math.min(blocks * plan.blockSize, plan.carveSize - start) }
}
