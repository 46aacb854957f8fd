/** A viewer of a query's stream that comes back with its cursor when the connection breaks, as the contract says. */

import { linesOf, type Operator } from './operator.ts'

export interface StreamLine {
  type: 'progress' | 'row' | 'error' | 'end'
  cursor?: string
  nodeId?: string
  columns?: Record<string, string>
  status?: string
}

/** How soon a viewer tries again. */
const AGAIN_AFTER_MS = 100

/**
 * The rows of a viewer, whole up to a cursor: what came after the last cursor comes again, so it is dropped with the
 * connection. Pure.
 */
export class ViewedRows {
  /** `<node>/<columns>`, in the order in which they came. */
  readonly rows: string[] = []
  #cursor: string | null = null
  #sinceCursor: string[] = []
  #status: string | null = null

  take({ type, cursor, nodeId, columns, status }: StreamLine): void {
    if (type === 'row') this.#sinceCursor.push(rowKey(nodeId ?? '', columns ?? {}))
    if (type === 'end') this.#status = status ?? ''
    if (cursor === undefined) return
    this.rows.push(...this.#sinceCursor)
    this.#sinceCursor = []
    this.#cursor = cursor
  }

  /** The connection broke: where to go on; null: from the beginning. */
  broken(): string | null {
    this.#sinceCursor = []
    return this.#cursor
  }

  /** The status that the stream ended with; null: it has not. */
  get ended(): string | null {
    return this.#status
  }
}

export function rowKey(nodeId: string, columns: Record<string, string>): string {
  return `${nodeId}/${JSON.stringify(columns)}`
}

export interface Viewer {
  viewed: ViewedRows
  /** Connections that it took. */
  connections(): number
  /** Until the stream has ended, or for so long. Throws then. */
  ended(withinMs: number): Promise<void>
}

/** Watches until the stream ends; whatever breaks, it connects again. */
export function watchQuery(operator: Operator, queryId: string): Viewer {
  const viewed = new ViewedRows()
  let connections = 0
  let isGivenUp = false
  const watching = (async () => {
    while (viewed.ended === null && !isGivenUp) {
      const cursor = viewed.broken()
      connections += 1
      try {
        const query = cursor === null ? '' : `?cursor=${cursor}`
        for await (const line of linesOf(await operator.open(`/queries/${queryId}/stream${query}`)))
          viewed.take(JSON.parse(line) as StreamLine)
      } catch {
        // The server is away: that is what the cursor is for.
      }
      if (viewed.ended === null) await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS))
    }
  })()
  return {
    viewed,
    connections: () => connections,
    async ended(withinMs) {
      const timer = setTimeout(() => {
        isGivenUp = true
        operator.breakOff()
      }, withinMs)
      await watching
      clearTimeout(timer)
      if (viewed.ended === null) throw new Error(`a stream had not ended after ${withinMs} ms`)
    },
  }
}
