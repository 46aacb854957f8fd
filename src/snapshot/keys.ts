/** Where the copies of snapshots lie in the archive bucket: read when an object does not answer (design 3). */

export function headKey(environmentId: string): string {
  return `snapshots/environment=${environmentId}/head.json`
}

export function partKey(environmentId: string, hash: string): string {
  return `snapshots/environment=${environmentId}/parts/${hash}`
}

export const DIRECTORY_KEY = 'snapshots/directory.json'
/** The name of the one Directory object. */
export const DIRECTORY_NAME = 'directory'
