/** Arguments of `npm run config`. */

import { Command, CommanderError, Option } from 'commander'

import { urlFault } from '../admin-route.ts'

export type ConfigCommand = 'validate' | 'plan' | 'apply' | 'export'

export interface ServerAccess {
  /** Without a path, e.g. https://fleet.example.com */
  url: string
  /** UUID or name of the environment. */
  env: string
  tokenFile: string
  /** A file with the certificate to trust, where it is none that the machine trusts. */
  ca?: string
}

export type ConfigOptions =
  | { command: 'validate'; folder: string; json: boolean }
  | { command: 'plan'; folder: string; json: boolean; access: ServerAccess }
  | {
      command: 'apply'
      folder: string
      json: boolean
      access: ServerAccess
      message: string
      expectedVersion?: number
    }
  | { command: 'export'; folder: string; json: boolean; access: ServerAccess; force: boolean }

/** The arguments are not of the command's form; the text says what is. */
export class UsageError extends Error {}

interface Values extends Partial<ServerAccess> {
  json?: boolean
  message?: string
  expectedVersion?: number
  force?: boolean
}

/** `undefined`: the user asked for help, and it was shown. Throws UsageError. */
export function parseConfigOptions(
  args: readonly string[],
  show: (text: string) => void,
): ConfigOptions | undefined {
  let parsed: ConfigOptions | undefined
  const program = new Command('npm run config --')
    .description("A configuration's directory: config.yaml, packs/*, layers/*")
    .exitOverride()
    .configureOutput({ writeOut: show, writeErr: () => undefined })
  const add = (command: ConfigCommand, description: string) =>
    program
      .command(`${command} <dir>`)
      .description(description)
      .option('--json', 'what a program can read')
      .exitOverride()
  add('validate', 'checks the files; asks no server').action((folder: string, values: Values) => {
    parsed = { command: 'validate', folder, json: values.json === true }
  })
  const plan = add('plan', 'what apply would change, and for how many nodes')
  withServer(plan).action((folder: string, values: Values) => {
    parsed = { command: 'plan', folder, json: values.json === true, access: accessOf(values) }
  })
  withServer(add('apply', 'makes the directory the newest version; nothing where it is that already'))
    .option('--message <text>', 'what the history says of it', '')
    .addOption(
      new Option('--expected-version <n>', 'refuse where another version is the newest').argParser(
        wholeNumber,
      ),
    )
    .action((folder: string, values: Values) => {
      parsed = {
        command: 'apply',
        folder,
        json: values.json === true,
        access: accessOf(values),
        message: values.message ?? '',
        ...(values.expectedVersion === undefined ? {} : { expectedVersion: values.expectedVersion }),
      }
    })
  withServer(add('export', 'writes the newest version as files; those that say the same already stay'))
    .option('--force', 'overwrite and remove files that say something else')
    .action((folder: string, values: Values) => {
      const force = values.force === true
      parsed = { command: 'export', folder, json: values.json === true, access: accessOf(values), force }
    })
  return run(program, args, show) ? parsed : undefined
}

function withServer(command: Command): Command {
  return command
    .requiredOption('--url <url>', 'the server, e.g. https://localhost:8443')
    .requiredOption('--env <name>', 'name or UUID of the environment')
    .requiredOption('--token-file <file>', "a file with an operator's token")
    .option('--ca <file>', 'the certificate to trust, e.g. .local/server.pem')
}

/** Whether there is something to do: help was not asked for. */
function run(program: Command, args: readonly string[], show: (text: string) => void): boolean {
  try {
    program.parse([...args], { from: 'user' })
    return true
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return false
    if (args.length === 0) show(program.helpInformation())
    throw new UsageError(error.message === '(outputHelp)' ? 'A command is missing.' : error.message)
  }
}

function accessOf({ url = '', env = '', tokenFile = '', ca }: Values): ServerAccess {
  const fault = urlFault(url)
  if (fault !== null) throw new UsageError(`error: ${fault}`)
  return { url: url.replace(/\/+$/, ''), env, tokenFile, ...(ca === undefined ? {} : { ca }) }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError('error: --expected-version must be a whole number')
  return Number(text)
}
