import { describe, expect, it } from 'vitest'
import { parseKeysOptions } from '../../../src/cli/keys/options.ts'

describe('arguments of npm run keys', () => {
  it('name the command, the place and what it needs', () => {
    expect(parseKeysOptions(['add', '--env', 'production'])).toMatchObject({
      command: 'add',
      place: { kind: 'deployment', env: 'production', file: '.local/signing-keys.production' },
      access: undefined,
      force: false,
    })
    const server = ['--url', 'http://127.0.0.1:8443/', '--token-file', 'token']
    expect(
      parseKeysOptions(['revoke', '--local', '--id', 'k1', '--max-nodes', '5', ...server]),
    ).toMatchObject({
      command: 'revoke',
      place: { kind: 'local' },
      id: 'k1',
      maxNodes: 5,
      access: { url: 'http://127.0.0.1:8443', tokenFile: 'token' },
    })
    expect(parseKeysOptions(['--help'])).toBeUndefined()
  })

  it.each([
    [[], 'A command'],
    [['rotate', '--local'], 'A command'],
    [['status'], 'Either --local or --env'],
    [['status', '--local', '--env', 'staging'], 'Either --local or --env'],
    [['status', '--env', 'prod'], '--env must be'],
    [['switch', '--local'], '--id is missing'],
    [['switch', '--local', '--id', '2'], '--id must be like k2'],
    [['add', '--local', '--id', 'k2'], '--id is not for this'],
    [['add', '--local', '--max-nodes', '2'], 'for revoke'],
    [['revoke', '--local', '--id', 'k1', '--max-nodes', 'all'], 'whole number'],
    [['status', '--local', '--url', 'https://fleet.example.com'], 'go together'],
    [['status', '--local', '--url', 'http://fleet.example.com', '--token-file', 't'], 'must be https'],
    [['status', '--local', '--file', 'x'], '--file is for --env'],
    [['status', '--env', 'staging', '--state', 'x'], '--state is for --local'],
    [['status', '--local', '--verbose'], 'verbose'],
  ])('%j is refused with a reason', (args, reason) => {
    expect(() => parseKeysOptions(args)).toThrow(reason)
  })
})
