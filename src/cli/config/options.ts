/** Arguments of `npm run config`. */

import { Command, Option } from 'commander'

import { accessOf, ranProgram, UsageError, withServer, type ServerAccess } from '../server-access.ts'

export type ConfigCommand = 'validate' | 'plan' | 'apply' | 'export'
export const ROLLOUT_MOVES = ['advance', 'pause', 'resume', 'halt'] as const
export type RolloutMoveName = (typeof ROLLOUT_MOVES)[number]

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
      /** Targets, as the admin route takes them. */
      canary?: object
      /** To some nodes first. */
      isRollout: boolean
      supersede: boolean
    }
  | { command: 'status' | 'rollback'; json: boolean; access: ServerAccess }
  | { command: 'rollout'; move: RolloutMoveName; json: boolean; access: ServerAccess }
  | { command: 'export'; folder: string; json: boolean; access: ServerAccess; force: boolean }

interface Values extends Partial<ServerAccess> {
  json?: boolean
  message?: string
  expectedVersion?: number
  force?: boolean
  rollout?: boolean
  canary?: object
  supersede?: boolean
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
  withServer(add('apply', 'makes the directory the present version; nothing where it is that already'))
    .option('--message <text>', 'what the history says of it', '')
    .addOption(
      new Option('--expected-version <n>', 'refuse where another version is the present one').argParser(
        wholeNumber,
      ),
    )
    .option('--rollout', 'to 1 % of the nodes first, then to more as long as gates are good')
    .addOption(
      new Option('--canary <who>', '5%, tag:NAME, set:NAME or HOSTNAME,…: who gets it first').argParser(
        canaryOf,
      ),
    )
    .option('--supersede', 'takes back the rollout that is under way')
    .action((folder: string, values: Values) => {
      parsed = {
        command: 'apply',
        folder,
        json: values.json === true,
        access: accessOf(values),
        message: values.message ?? '',
        ...(values.expectedVersion === undefined ? {} : { expectedVersion: values.expectedVersion }),
        isRollout: values.rollout === true || values.canary !== undefined,
        ...(values.canary === undefined ? {} : { canary: values.canary }),
        supersede: values.supersede === true,
      }
    })
  addRolloutCommands(program, (options) => {
    parsed = options
  })
  withServer(add('export', 'writes the present version as files; those that say the same already stay'))
    .option('--force', 'overwrite and remove files that say something else')
    .action((folder: string, values: Values) => {
      const force = values.force === true
      parsed = { command: 'export', folder, json: values.json === true, access: accessOf(values), force }
    })
  return ranProgram(program, args, show) ? parsed : undefined
}

function addRolloutCommands(program: Command, done: (options: ConfigOptions) => void): void {
  const add = (usage: string, description: string) =>
    withServer(
      program
        .command(usage)
        .description(description)
        .option('--json', 'what a program can read')
        .exitOverride(),
    )
  const common = (values: Values) => ({ json: values.json === true, access: accessOf(values) })
  add('status', 'which version how many nodes have, and where the newest rollout is').action(
    (values: Values) => done({ command: 'status', ...common(values) }),
  )
  add('rollback', 'takes the newest rollout back, also when it is complete').action((values: Values) =>
    done({ command: 'rollback', ...common(values) }),
  )
  add('rollout <move>', `moves the newest rollout: ${ROLLOUT_MOVES.join(', ')}`).action(
    (text: string, values: Values) => {
      const move = ROLLOUT_MOVES.find((known) => known === text)
      if (move === undefined) throw new UsageError(`error: rollout takes ${ROLLOUT_MOVES.join(', ')}`)
      done({ command: 'rollout', move, ...common(values) })
    },
  )
}

/** Targets of a short form. */
function canaryOf(text: string): object {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]
  if (percent !== undefined) return { percent: Number(percent) }
  if (text.startsWith('tag:')) return { tags: [text.slice(4)] }
  if (text.startsWith('set:')) return { nodeSet: text.slice(4) }
  const hostnames = text.split(',').filter((name) => name !== '')
  if (hostnames.length === 0)
    throw new UsageError('error: --canary takes 5%, tag:NAME, set:NAME or HOSTNAME,…')
  return { hostnames }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError('error: --expected-version must be a whole number')
  return Number(text)
}
