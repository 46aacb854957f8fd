/** Reads a query's stream as viewers do. */

import { OPERATOR_TOKEN, type TestServer } from './harness.ts'

export interface StreamLine {
  type: 'progress' | 'row' | 'error' | 'end'
  cursor?: string
  nodeId?: string
  hostname?: string | null
  row?: number
  columns?: Record<string, string>
  status?: string
  counts?: Record<string, number>
  cost?: Record<string, { p50: number; p95: number; worst: { nodeId: string; value: number }[] } | null>
  message?: string
  nodes?: number
  missing?: { shards: number[]; of: number }
}

export interface Viewer {
  /** Everything so far. */
  lines: StreamLine[]
  /** Waits for a line that the stream has, or will have within some seconds. */
  line(wanted: (line: StreamLine) => boolean): Promise<StreamLine>
  /** Waits for the end of the stream. */
  ended: Promise<void>
  close(): Promise<void>
}

/** Connects a viewer over HTTP; `query` is the URL's. */
export async function viewStream(server: TestServer, queryId: string, query = ''): Promise<Viewer> {
  const response = await server.harness.fetch(
    `/api/v1/environments/default/queries/${queryId}/stream${query}`,
    {
      headers: { authorization: `Bearer ${OPERATOR_TOKEN}` },
    },
  )
  if (response.status !== 200 || response.body === null) throw new Error(await response.text())
  const reader = (response.body as unknown as ReadableStream<Uint8Array>).getReader()
  const lines: StreamLine[] = []
  const ended = (async () => {
    const decoder = new TextDecoder()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const pieces = (rest + decoder.decode(value, { stream: true })).split('\n')
      rest = pieces.pop() ?? ''
      for (const piece of pieces) lines.push(JSON.parse(piece) as StreamLine)
    }
  })()
  ended.catch(() => undefined)
  return {
    lines,
    line: (wanted) => server.until(async () => lines.find(wanted)),
    ended,
    close: () => reader.cancel().catch(() => undefined),
  }
}

/** The rows of a viewer, as `<host>/<column a>`, sorted. */
export function rowsOf(lines: readonly StreamLine[]): string[] {
  return lines
    .flatMap(({ type, hostname, columns }) => (type === 'row' ? [`${hostname}/${columns?.['a']}`] : []))
    .sort()
}
