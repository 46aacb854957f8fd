/** What `npm run config` says to people. A place is `file:line: /pointer: rule`, which editors can follow. */

import type { Remark } from '../../config/import/source.ts'

/** Terminals may obey control characters; a configuration's names come from anywhere. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) =>
    JSON.stringify(character).slice(1, -1),
  )
}

export function remarkLine({ file, line, pointer, rule }: Remark, kind: 'error' | 'warning'): string {
  const at = line === null ? file : `${file}:${line}`
  return plain(`${at}: ${kind}: ${pointer === '' ? '' : `${pointer} `}${rule}`)
}
