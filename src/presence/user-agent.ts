/** osquery's version as its requests say it: `User-Agent: osquery/5.23.1` (spec 1.1; development builds have suffixes). */

const OSQUERY = /^osquery\/(\d+\.\d+[\w.+-]{0,60})(?:\s|$)/

/** Empty where the header is no osquery's: a proxy's own, or nothing. Pure. */
export function osqueryVersionOf(userAgent: string): string {
  return OSQUERY.exec(userAgent)?.[1] ?? ''
}
