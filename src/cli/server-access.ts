/** The arguments with which commands reach a server, and how arguments are read. */

import { type Command, CommanderError } from 'commander'

import { urlFault } from './admin-route.ts'

export interface ServerAccess {
  /** Without a path, e.g. https://fleet.example.com */
  url: string
  /** UUID or name of the environment. */
  env: string
  tokenFile: string
  /** A file with the certificate to trust, where it is none that the machine trusts. */
  ca?: string
}

/** The arguments are not of the command's form; the text says what is. */
export class UsageError extends Error {}

export function withServer(command: Command): Command {
  return command
    .requiredOption('--url <url>', 'the server, e.g. https://localhost:8443')
    .requiredOption('--env <name>', 'name or UUID of the environment')
    .requiredOption('--token-file <file>', "a file with an operator's token")
    .option('--ca <file>', 'the certificate to trust, e.g. .local/server.pem')
}

/** Throws UsageError where a token must not be sent there. */
export function accessOf({ url = '', env = '', tokenFile = '', ca }: Partial<ServerAccess>): ServerAccess {
  const fault = urlFault(url)
  if (fault !== null) throw new UsageError(`error: ${fault}`)
  return { url: url.replace(/\/+$/, ''), env, tokenFile, ...(ca === undefined ? {} : { ca }) }
}

/** Reads the arguments; whether there is something to do: help was not asked for. Throws UsageError. */
export function ranProgram(program: Command, args: readonly string[], show: (text: string) => void): boolean {
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
