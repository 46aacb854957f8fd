/** What `npm run agent` prints. */
import type { AgentEvent } from './agent-options.ts'
import type { CheckedStep } from './self-check.ts'

/** One line for an event. */
export function describeEvent(event: AgentEvent): string {
  switch (event.kind) {
    case 'enrolled':
      return 'enrolled'
    case 'config':
      return `config ${event.isChanged ? 'received' : 'unchanged'}, ${event.queries} scheduled queries`
    case 'call-failed':
      return `${event.endpoint} failed: ${event.reason}`
    case 'lines-acknowledged':
      return `sent ${event.lines} ${event.lineKind} lines`
    case 'lines-purged':
      return `threw away ${event.lines} old lines: too many wait`
    case 'scheduled-query-failed':
      return `scheduled query ${event.name}: ${event.message}`
    case 'query-started':
      return `runs query ${event.id}`
    case 'query-answered':
      return `answered query ${event.id}: ${event.message || `${event.rows} rows`} (${oneLine(event.sql)})`
    case 'read-problem':
      return `distributed read: ${event.reason}`
    case 'answers-accepted':
      return `server took ${event.answers} answers`
    case 'carve-packed':
      return `hands in ${event.carve.guid}: ${event.carve.sizeBytes} bytes`
    case 'carved': {
      const { guid, paths, problem, sizeBytes, status } = event.carve
      return `carve ${guid} of ${paths.join(', ')}: ${status}, ${problem || `${sizeBytes} bytes`}`
    }
  }
}

/** The table of a pass through every endpoint. */
export function describeSteps(steps: readonly CheckedStep[]): string {
  const width = Math.max(...steps.map((step) => step.endpoint.length))
  return steps
    .map(
      ({ endpoint, isOk, detail }) => `${endpoint.padEnd(width)}  ${isOk ? 'ok    ' : 'FAILED'}  ${detail}`,
    )
    .join('\n')
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > 80 ? `${line.slice(0, 79)}…` : line
}
