/** Room for a GUID and the ending within the 255 bytes that file systems allow. */
const MAX_PART_CHARS = 100

/**
 * The name that a carve's archive is downloaded under: `<hostname>-<carve id>.tar`, or `.tar.zst`. Host name and carve
 * id are claims of an agent, so that nothing but plain letters, digits, dots, dashes and underscores is left of them.
 */
export function archiveFileName(hostname: string, carveId: string, isZstd: boolean): string {
  return `${safe(hostname) || 'node'}-${safe(carveId) || 'carve'}.tar${isZstd ? '.zst' : ''}`
}

function safe(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9._-]+/g, '_')
    .replace(/^[._-]+/, '')
    .slice(0, MAX_PART_CHARS)
}
