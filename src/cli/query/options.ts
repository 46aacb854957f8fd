/** Arguments of `npm run query`. */

import { Command, Option } from 'commander'

import { accessOf, ranProgram, UsageError, withServer, type ServerAccess } from '../server-access.ts'

export const EXPORT_FORMATS = ['csv', 'ndjson', 'json'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

export interface QueryOptions {
  access: ServerAccess
  /** A query to open, or the id of one to go on with. */
  query: { open: Record<string, unknown> } | { follow: string }
  /** Whether it is watched to its end. */
  watch: boolean
  /** Rows as lines of JSON, for programs. */
  json: boolean
  /** All rows as one file in place of rows as they come. */
  exportAs: ExportFormat | null
}

interface Values extends Partial<ServerAccess> {
  sql?: string
  targets?: Record<string, unknown>
  expires?: number
  label?: string
  follow?: string
  watch: boolean
  json?: boolean
  export?: ExportFormat
}

/** `undefined`: the user asked for help, and it was shown. Throws UsageError. */
export function parseQueryOptions(
  args: readonly string[],
  show: (text: string) => void,
): QueryOptions | undefined {
  let parsed: QueryOptions | undefined
  const program = withServer(new Command('npm run query --'))
    .description('Asks the fleet: rows on standard output as they come, progress on standard error')
    .option('--sql <text>', 'what the nodes run')
    .addOption(
      new Option('--targets <json>', '"all", or targets as the API takes them, e.g. \'{"tags":["web"]}\'')
        .argParser(targetsOf)
        .default({ all: true }, 'all'),
    )
    .addOption(new Option('--expires <seconds>', 'how long nodes are waited for').argParser(wholeNumber))
    .option('--label <text>', 'what lists of queries show')
    .option('--follow <id>', 'goes on with a query that was opened before')
    .option('--no-watch', 'opens it, says its id, and leaves it open')
    .option('--json', 'rows as lines of JSON')
    .addOption(
      new Option('--export <format>', 'all rows as one file once it is over').choices([...EXPORT_FORMATS]),
    )
    .exitOverride()
    .configureOutput({ writeOut: show, writeErr: () => undefined })
    .action((values: Values) => {
      parsed = {
        access: accessOf(values),
        query: queryOf(values),
        watch: values.watch,
        json: values.json === true,
        exportAs: values.export ?? null,
      }
    })
  return ranProgram(program, args, show) ? parsed : undefined
}

function queryOf({ sql, targets, expires, label, follow }: Values): QueryOptions['query'] {
  if ((sql === undefined) === (follow === undefined)) throw new UsageError('error: --sql or --follow')
  if (follow !== undefined) return { follow }
  const open: Record<string, unknown> = { sql, targets }
  if (expires !== undefined) open['expiresInSeconds'] = expires
  if (label !== undefined) open['label'] = label
  return { open }
}

function targetsOf(text: string): unknown {
  if (text === 'all') return { all: true }
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UsageError('error: --targets is neither "all" nor JSON')
  }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError('error: --expires must be a whole number')
  return Number(text)
}
