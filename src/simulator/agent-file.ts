/** Keeps an agent's state in a file, so that a restarted agent goes on as the same node. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { AgentState } from './agent-options.ts'

interface AgentFile {
  readonly url: string
  readonly state: AgentState
}

/**
 * Reads the state that was kept for a server; undefined if there is none. For another server's URL the identity stays
 * and the node key goes: a foreign key would only be answered with "come back later", for ever.
 */
export function readAgentFile(file: string, url: string): AgentState | undefined {
  const text = readIfThere(file)
  if (text === undefined) return undefined
  const kept = JSON.parse(text) as AgentFile
  if (kept.state?.format !== 1) throw new Error(`${file} is not an agent's state of format 1`)
  return kept.url === url ? kept.state : { ...kept.state, nodeKey: '' }
}

/** Writes the state in one step, readable by the user alone because it holds the node key. */
export function writeAgentFile(file: string, url: string, state: AgentState): void {
  mkdirSync(path.dirname(file), { recursive: true })
  const content: AgentFile = { url, state }
  writeFileSync(`${file}.new`, JSON.stringify(content), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
