/**
 * `npm run deploy -- --env staging|production [--dry-run]`: types, migrations, the app, its bucket's lifetimes, then the guard before it. In this order a step that
 * fails leaves what runs untouched: migrations only add (expand, deploy, contract), and the guard needs the app's entrypoint.
 */

import { spawnSync } from 'node:child_process'

import { checklist } from './deploy/checklist.ts'
import { setLifecycle } from './deploy/lifecycle.ts'
import type { DeployOptions } from './deploy/options.ts'
import { DEPLOY_USAGE, parseDeployOptions } from './deploy/options.ts'
import { ensureResources } from './deploy/resources.ts'
import { CliFailure, runCommand } from './failure.ts'
import { ROOT } from './start/local-paths.ts'
import { runWrangler, wranglerQuietly } from './wrangler.ts'

async function main(): Promise<number> {
  const options = parseDeployOptions(process.argv.slice(2), process.env)
  if (options === undefined) {
    console.log(DEPLOY_USAGE)
    return 0
  }
  const { deployment, dryRun, agentHostname, operatorHostname } = options
  step('Types')
  checkTypes()
  step('Database')
  if (dryRun) console.log('Dry run: the migrations are left out, they need the account.')
  else migrate(options)
  step('App')
  deploy(['--env', deployment], operatorHostname, dryRun)
  step('Lifetimes')
  if (dryRun) console.log('Dry run: the lifecycle rules are left out, they need the account.')
  else setLifecycle(deployment)
  step('Guard')
  deploy(['--config', 'src/guard/wrangler.toml', '--env', deployment], agentHostname, dryRun)
  console.log(checklist(options))
  return 0
}

function checkTypes(): void {
  const result = spawnSync('npm', ['run', '--silent', 'types:check'], {
    cwd: ROOT,
    env: wranglerQuietly(),
    stdio: 'inherit',
  })
  if (result.status !== 0) throw new CliFailure('The types are not in order: nothing was deployed.')
}

function migrate({ deployment }: DeployOptions): void {
  ensureResources(deployment)
  const migrated = runWrangler(['d1', 'migrations', 'apply', 'DB', '--remote', '--env', deployment], 'show')
  if (!migrated.ok) throw new CliFailure('The migrations failed: the app was not deployed.')
}

function deploy(which: readonly string[], hostname: string | undefined, dryRun: boolean): void {
  const domain = hostname === undefined ? [] : ['--domain', hostname]
  const deployed = runWrangler(['deploy', ...which, ...domain, ...(dryRun ? ['--dry-run'] : [])], 'show')
  if (!deployed.ok) throw new CliFailure('wrangler did not deploy it; see above.')
}

function step(name: string): void {
  console.log(`\n== ${name}`)
}

await runCommand(main)
