/** What to deploy and where: arguments, and the hostnames from the environment, so that CI sets them without a change. */

import { parseArgs } from 'node:util'

import { CliFailure } from '../failure.ts'

export const DEPLOY_USAGE = `Usage: npm run deploy -- --env staging|production [--dry-run]

  AGENT_HOSTNAME     the hostname that agents use, a zone of the account (required)
  OPERATOR_HOSTNAME  the hostname that operators use (without it the admin route is not reachable)`

export const DEPLOYMENTS = ['staging', 'production'] as const
export type Deployment = (typeof DEPLOYMENTS)[number]

export interface DeployOptions {
  deployment: Deployment
  dryRun: boolean
  agentHostname: string
  operatorHostname: string | undefined
}

/** `undefined`: the user asked for help. */
export function parseDeployOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): DeployOptions | undefined {
  const { values } = parse(args)
  if (values.help === true) return undefined
  const deployment = DEPLOYMENTS.find((name) => name === values.env)
  if (deployment === undefined)
    throw new CliFailure(`--env must be staging or production.\n\n${DEPLOY_USAGE}`)
  const dryRun = values['dry-run'] === true
  // A dry run needs no account, and so no zone.
  const agentHostname = hostname('AGENT_HOSTNAME', environment) ?? (dryRun ? 'agents.example.com' : undefined)
  if (agentHostname === undefined) throw new CliFailure(`AGENT_HOSTNAME is not set.\n\n${DEPLOY_USAGE}`)
  const operatorHostname = hostname('OPERATOR_HOSTNAME', environment)
  if (operatorHostname === agentHostname) {
    throw new CliFailure(
      'AGENT_HOSTNAME and OPERATOR_HOSTNAME must differ: Access would lock the agents out.',
    )
  }
  return { deployment, dryRun, agentHostname, operatorHostname }
}

function hostname(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const value = environment[name]?.trim().toLowerCase()
  if (value === undefined || value === '') return undefined
  if (!/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/.test(value)) {
    throw new CliFailure(`${name} must be a hostname such as agents.example.com, not "${value}".`)
  }
  return value
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        env: { type: 'string' },
        'dry-run': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new CliFailure(`${error instanceof Error ? error.message : String(error)}\n\n${DEPLOY_USAGE}`)
  }
}
