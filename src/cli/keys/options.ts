/** Arguments of `npm run keys`. */

import { parseArgs } from 'node:util'

import { urlFault, type AdminAccess } from '../admin-route.ts'
import { DEPLOYMENTS, type Deployment } from '../deploy/options.ts'
import { CliFailure } from '../failure.ts'

export const KEYS_USAGE = `Usage: npm run keys -- COMMAND --local|--env staging|production [options]

  status            the keys by id and fingerprint; with a server, who depends on each
  init              makes the first key, where there is none
  add               makes another key, which signs nothing yet: first every Worker must know it
  switch --id kN    new node keys are under kN from now on; old ones stay valid
  revoke --id kN    what revoking all node keys under kN would do; with --max-nodes N it does it
  retire --id kN    takes kN out, once nobody depends on it

  --local           the server on this machine (npm start); --state DIR as for npm run serve
  --env ENV         a deployment: the secret is kept in --file and set with wrangler
  --file FILE       where the deployment's keys are kept (.local/signing-keys.ENV)
  --url URL --token-file FILE [--ca FILE]   the server to ask, as for npm run config
  --over SECONDS    how long a revocation takes to reach all nodes
  --force           also where it is not known to be safe`

const COMMANDS = ['status', 'init', 'add', 'switch', 'revoke', 'retire'] as const
export type KeysCommand = (typeof COMMANDS)[number]

export interface KeysOptions {
  command: KeysCommand
  place: { kind: 'local'; state: string | undefined } | { kind: 'deployment'; env: Deployment; file: string }
  /** Empty where the command needs none. */
  id: string
  access: AdminAccess | undefined
  maxNodes: number | undefined
  over: number | undefined
  force: boolean
}

/** `undefined`: the user asked for help. Throws CliFailure. */
export function parseKeysOptions(args: readonly string[]): KeysOptions | undefined {
  const { values, positionals } = parsed(args)
  if (values.help === true || positionals[0] === 'help') return undefined
  const command = COMMANDS.find((name) => name === positionals[0])
  if (command === undefined || positionals.length > 1) throw refused('A command, please')
  const needsId = command === 'switch' || command === 'revoke' || command === 'retire'
  if (needsId !== (values.id !== undefined))
    throw refused(needsId ? `--id is missing` : '--id is not for this')
  if (values.id !== undefined && !/^k\d{1,3}$/.test(values.id)) throw refused('--id must be like k2')
  const { 'max-nodes': maxNodes, over } = values
  if (command !== 'revoke' && (maxNodes ?? over) !== undefined)
    throw refused('--max-nodes and --over are for revoke')
  return {
    command,
    place: placeOf(values),
    id: values.id ?? '',
    access: accessOf(values),
    maxNodes: wholeNumber('--max-nodes', maxNodes),
    over: wholeNumber('--over', over),
    force: values.force === true,
  }
}

type Values = ReturnType<typeof parsed>['values']

function placeOf({ local, env, file, state }: Values): KeysOptions['place'] {
  if ((env === undefined) !== (local === true)) throw refused('Either --local or --env')
  if (env === undefined) {
    if (file !== undefined) throw refused('--file is for --env')
    return { kind: 'local', state }
  }
  if (state !== undefined) throw refused('--state is for --local')
  const deployment = DEPLOYMENTS.find((name) => name === env)
  if (deployment === undefined) throw refused('--env must be staging or production')
  return { kind: 'deployment', env: deployment, file: file ?? `.local/signing-keys.${deployment}` }
}

function accessOf({ url, ca, 'token-file': tokenFile }: Values): AdminAccess | undefined {
  if (url === undefined && tokenFile === undefined && ca === undefined) return undefined
  if (url === undefined || tokenFile === undefined) throw refused('--url and --token-file go together')
  const fault = urlFault(url)
  if (fault !== null) throw refused(fault)
  return { url: url.replace(/\/+$/, ''), tokenFile, ...(ca === undefined ? {} : { ca }) }
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,9}$/.test(text)) throw refused(`${option} must be a whole number`)
  return Number(text)
}

function refused(reason: string): CliFailure {
  return new CliFailure(`${reason}.\n\n${KEYS_USAGE}`)
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        local: flag,
        state: text,
        env: text,
        file: text,
        id: text,
        url: text,
        'token-file': text,
        ca: text,
        'max-nodes': text,
        over: text,
        force: flag,
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error))
  }
}
