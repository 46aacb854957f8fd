/** What kinds of junk there are; how each is made and what may be said to it is in junk.ts. */
export const JUNK = [
  'malformed-json',
  'truncated-json',
  'deep-json',
  'wrong-shapes',
  'no-body',
  'gzip-bomb',
  'truncated-gzip',
  'gzip-of-nothing',
  'huge-body',
  'huge-body-without-key',
  'wrong-key',
  'forged-key',
  'bit-flipped-key',
  'unknown-key-id',
  'wrong-secret',
  'foreign-query-ids',
  'foreign-carve-session',
  'deleted-node',
  'new-node',
] as const
export type JunkName = (typeof JUNK)[number]
