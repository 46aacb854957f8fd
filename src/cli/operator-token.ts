/**
 * `npm run operator-token -- --name alice --env production`: makes an operator token without the admin route, which needs one itself.
 * The database gets its SHA-256 alone; the token is printed once.
 */

import { parseArgs } from 'node:util'

import { randomText, sha256HexOfText, timeOrderedUuid } from '../lib/bytes.ts'
import { DEPLOYMENTS } from './deploy/options.ts'
import { CliFailure, runCommand } from './failure.ts'
import { STATE } from './start/local-paths.ts'
import { runWrangler } from './wrangler.ts'

const USAGE = `Usage: npm run operator-token -- --name NAME [--env staging|production | --local]

  --name NAME  who uses it: up to 64 of A-Z a-z 0-9 . _ @ - and blank; the audit shows it
  --env ENV    the deployment to make it for
  --local      for the server on this machine (npm start), which must have been started once`

const TOKEN_BYTES = 32
// Nothing that could end an SQL string or open a comment: the name becomes part of a statement.
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._@ ]|-(?!-)){0,63}$/

interface TokenOptions {
  name: string
  /** wrangler's arguments that choose the database. */
  database: string[]
}

async function main(): Promise<number> {
  const options = parse(process.argv.slice(2))
  if (options === undefined) {
    console.log(USAGE)
    return 0
  }
  const token = `oeo_${randomText(TOKEN_BYTES)}`
  const sql = insertStatement(options.name, await sha256HexOfText(token))
  const inserted = runWrangler(
    ['d1', 'execute', 'DB', ...options.database, '--yes', '--command', sql],
    'collect',
  )
  if (!inserted.ok) throw new CliFailure(`The token could not be stored:\n${inserted.output}`)
  console.error(`A token for ${options.name}; it is shown this once:`)
  console.log(token)
  return 0
}

/** All values are made here or of a checked alphabet: `d1 execute` takes no parameters. */
function insertStatement(name: string, tokenHash: string): string {
  const nowMs = Date.now()
  const id = crypto.randomUUID()
  return `INSERT INTO operator_tokens (id, name, token_hash, created_at, created_by)
    VALUES ('${id}', '${name}', '${tokenHash}', ${nowMs}, 'command line');
    INSERT INTO audit (id, at, actor, action, environment_id, subject, detail)
    VALUES ('${timeOrderedUuid(nowMs)}', ${nowMs}, 'command line', 'operator-token.create', NULL, '${id}',
    '${JSON.stringify({ name })}')`
}

function parse(args: readonly string[]): TokenOptions | undefined {
  const { name, env, local, help } = parsed(args)
  if (help === true) return undefined
  if (name === undefined || !NAME.test(name))
    throw new CliFailure(`--name is missing or not allowed.\n\n${USAGE}`)
  if ((env === undefined) !== (local === true)) {
    throw new CliFailure(`Either --env or --local, please.\n\n${USAGE}`)
  }
  if (env === undefined) return { name, database: ['--local', '--persist-to', STATE] }
  if (!DEPLOYMENTS.some((deployment) => deployment === env)) {
    throw new CliFailure(`--env must be staging or production.\n\n${USAGE}`)
  }
  return { name, database: ['--remote', '--env', env] }
}

function parsed(args: readonly string[]): { name?: string; env?: string; local?: boolean; help?: boolean } {
  try {
    return parseArgs({
      args: [...args],
      options: {
        name: { type: 'string' },
        env: { type: 'string' },
        local: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    throw new CliFailure(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
  }
}

await runCommand(main)
