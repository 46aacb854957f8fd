/** Specification: what a program that the walk starts sees of the npm that runs the walk. */

import { delimiter } from 'node:path'
import { expect, it } from 'vitest'

import { userEnvironment } from '../../../src/cli/walk/user-environment.ts'

it('leaves out what npm adds, and nothing else', () => {
  const path = ['/clone/node_modules/.bin', '/npm/node-gyp-bin', '/home/me/.bin', '/usr/bin']
  const env = {
    ...process.env,
    HOME: '/home/me',
    NODE_OPTIONS: '--no-warnings',
    npm_lifecycle_event: 'walk',
    INIT_CWD: '/clone',
    NODE: '/clone/node',
    PATH: path.join(delimiter),
  }
  const seen = userEnvironment(env)
  expect(seen).toMatchObject({ HOME: '/home/me', NODE_OPTIONS: '--no-warnings' })
  expect(seen.PATH).toBe(['/home/me/.bin', '/usr/bin'].join(delimiter))
  expect(Object.keys(seen).filter((name) => /^npm_|^INIT_CWD$|^NODE$/.test(name))).toEqual([])
})
