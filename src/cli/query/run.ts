/** What `npm run query` does: opens a query or goes on with one, shows what comes, and says how it ended. */

import { AdminRoute, type ServerReply } from '../admin-route.ts'
import { plain } from '../config/print.ts'
import { CliFailure } from '../failure.ts'
import { UsageError } from '../server-access.ts'
import { parseQueryOptions, type ExportFormat, type QueryOptions } from './options.ts'
import { costLine, countsLine, progressLine } from './print.ts'
import { RowTable } from './row-table.ts'
import { problemShape, queryShape, type Counts, type ProgressLine } from './shapes.ts'
import { streamLines, type ReadLine } from './stream.ts'

const EXIT_USAGE = 2
/** What shells give who was left by Ctrl-C. */
const EXIT_LEFT = 130

export interface QueryOutput {
  /** Standard output; resolves when there is room for more. */
  write: (piece: string | Uint8Array) => Promise<void>
  /** A line about it, on standard error. */
  tell: (line: string) => void
  /** Aborts when the user leaves. */
  left: AbortSignal
}

/** Runs the command; its exit code. Throws CliFailure with what the user can mend. */
export async function runQuery(args: readonly string[], output: QueryOutput): Promise<number> {
  const options = await optionsOrUsage(args, output)
  if (typeof options === 'number') return options
  const path = `/environments/${encodeURIComponent(options.access.env)}/queries`
  const route = await AdminRoute.of(options.access, path)
  const id = await openedQuery(route, options, output)
  if (!options.watch) {
    await output.write(`${id}\n`)
    return 0
  }
  const isOver = await watch(route, id, options, output)
  if (!isOver) {
    output.tell(`The query stays open. Go on with: --follow ${id}`)
    return EXIT_LEFT
  }
  if (options.exportAs !== null) await writeExport(route, id, options.exportAs, output)
  return 0
}

async function optionsOrUsage(
  args: readonly string[],
  { write, tell }: QueryOutput,
): Promise<QueryOptions | number> {
  const shown: string[] = []
  try {
    const options = parseQueryOptions(args, (text) => shown.push(text))
    await write(shown.join(''))
    return options ?? 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    tell(`${error.message}\n\nnpm run query -- --help says more.`)
    return EXIT_USAGE
  }
}

async function openedQuery(
  route: AdminRoute,
  { query, watch: isWatched }: QueryOptions,
  { tell }: QueryOutput,
): Promise<string> {
  if ('follow' in query) return query.follow
  const reply = await route.call('POST', '', JSON.stringify(query.open))
  const opened = parsed(reply, 201)
  tell(`query ${opened.id} for ${opened.counts.targeted} nodes${isWatched ? '; Ctrl-C leaves it open' : ''}`)
  return opened.id
}

/** Shows what comes until the query is over: true; or the user leaves: false. */
async function watch(
  route: AdminRoute,
  id: string,
  options: QueryOptions,
  output: QueryOutput,
): Promise<boolean> {
  const state: Told = { progress: null, said: '', errors: new Map() }
  const table = new RowTable()
  for await (const lines of streamLines(route, encodeURIComponent(id), output.left)) {
    if (options.exportAs === null) await writeRows(lines, table, options.json, output)
    for (const { line } of lines) {
      if (line.type === 'error') state.errors.set(line.message, line.nodes)
      else if (line.type === 'progress') tellProgress(line, state, output)
      else if (line.type === 'end') {
        if (line.status === 'revoked') throw new CliFailure('The token is not one any more.')
        tellEnd(line.status, line.counts, state, output)
        return true
      }
    }
  }
  return false
}

interface Told {
  progress: ProgressLine | null
  said: string
  errors: Map<string, number>
}

async function writeRows(
  lines: readonly ReadLine[],
  table: RowTable,
  json: boolean,
  { write }: QueryOutput,
): Promise<void> {
  const rows = lines.flatMap(({ line, text }) => (line.type === 'row' ? [{ row: line, text }] : []))
  if (rows.length === 0) return
  const texts = json ? rows.map(({ text }) => text) : table.lines(rows.map(({ row }) => row))
  await write(`${texts.join('\n')}\n`)
}

function tellProgress(line: ProgressLine, state: Told, { tell }: QueryOutput): void {
  state.progress = line
  const text = progressLine(line)
  if (text === state.said) return
  state.said = text
  tell(text)
}

function tellEnd(
  status: string,
  counts: Counts | undefined,
  { errors, progress, said }: Told,
  { tell }: QueryOutput,
): void {
  for (const [message, nodes] of errors) tell(plain(`${nodes} failed: ${message}`))
  const cost = progress === null ? '' : costLine(progress.cost)
  if (cost !== '') tell(cost)
  tell(`${status}: ${counts === undefined ? said : countsLine(counts)}`)
}

async function writeExport(
  route: AdminRoute,
  id: string,
  format: ExportFormat,
  { write, left }: QueryOutput,
): Promise<void> {
  try {
    for await (const piece of route.read(`/${encodeURIComponent(id)}/export?format=${format}`, left))
      await write(piece)
  } catch (error) {
    if (error instanceof CliFailure) throw error
    throw new CliFailure('The file is not whole: the connection broke off. Ask for it again with --follow.')
  }
}

function parsed(reply: ServerReply, status: number) {
  if (reply.status === status) return queryShape.parse(JSON.parse(reply.text))
  const problem = reply.text.startsWith('{') ? problemShape.parse(JSON.parse(reply.text)) : null
  const faults = (problem?.errors ?? []).map(({ pointer, detail }) => `\n${pointer} ${detail}`)
  throw new CliFailure(
    plain(`The server refuses (${reply.status}): ${problem?.detail ?? ''}`) + faults.map(plainLine).join(''),
  )
}

function plainLine(line: string): string {
  return `\n${plain(line.trim())}`
}
