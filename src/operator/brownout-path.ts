/** The paths that must work while D1 is away: those of the switch. */

const BROWNOUT_PATH = /^\/api\/v1(?:\/environments\/[^/]+)?\/brownout$/

export function isBrownoutPath(path: string): boolean {
  return BROWNOUT_PATH.test(path)
}
