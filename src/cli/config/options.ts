/** Arguments of `npm run config`. */

import { Command, Option } from 'commander'

import { accessOf, ranProgram, UsageError, withServer, type ServerAccess } from '../server-access.ts'

export type ConfigCommand = 'validate' | 'plan' | 'apply' | 'export'

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
  return ranProgram(program, args, show) ? parsed : undefined
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError('error: --expected-version must be a whole number')
  return Number(text)
}
