import { describe, expect, test } from 'vitest'

import { checklist } from '../../src/cli/deploy/checklist.ts'
import { parseDeployOptions } from '../../src/cli/deploy/options.ts'

const hostnames = { AGENT_HOSTNAME: 'agents.example.com', OPERATOR_HOSTNAME: 'fleet.example.com' }

describe('arguments of npm run deploy', () => {
  test('take the hostnames from the environment', () => {
    expect(parseDeployOptions(['--env', 'staging'], hostnames)).toEqual({
      deployment: 'staging',
      dryRun: false,
      agentHostname: 'agents.example.com',
      operatorHostname: 'fleet.example.com',
    })
  })

  test('a dry run needs no hostname', () => {
    expect(parseDeployOptions(['--env', 'production', '--dry-run'], {})).toMatchObject({ dryRun: true })
  })

  test.each([
    [[], hostnames, '--env must be'],
    [['--env', 'prod'], hostnames, '--env must be'],
    [['--env', 'staging', '--force'], hostnames, 'Usage: npm run deploy'],
    [['--env', 'staging'], {}, 'AGENT_HOSTNAME is not set'],
    [['--env', 'staging'], { AGENT_HOSTNAME: '--config=x' }, 'AGENT_HOSTNAME must be a hostname'],
    [['--env', 'staging'], { AGENT_HOSTNAME: 'a.example', OPERATOR_HOSTNAME: 'a.example' }, 'must differ'],
  ])('%j with %j is refused with a reason', (args, environment, reason) => {
    expect(() => parseDeployOptions(args, environment)).toThrow(reason)
  })
})

test.each(['Paid', 'WAF', 'challenge', 'Custom Error Rule', 'Access', 'keys -- init', 'operator-token'])(
  'the checklist names what wrangler cannot set: %s',
  (item) => {
    const options = parseDeployOptions(['--env', 'production'], hostnames)
    if (options === undefined) throw new Error('no options')
    expect(checklist(options)).toContain(item)
  },
)
