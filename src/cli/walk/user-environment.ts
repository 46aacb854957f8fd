/** The environment that a user's shell would have. */

import { basename, delimiter, dirname } from 'node:path'

const OF_NPM = /^npm_|^INIT_CWD$|^NODE$/

/** Without the variables of the npm that runs us, and without the folders that it puts before the PATH. */
export function userEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = (env.PATH ?? '').split(delimiter).filter((folder) => !isOfNpm(folder))
  const kept: NodeJS.ProcessEnv = { ...env, PATH: path.join(delimiter) }
  for (const name of Object.keys(env)) if (OF_NPM.test(name)) delete kept[name]
  return kept
}

function isOfNpm(folder: string): boolean {
  const name = basename(folder)
  return (name === '.bin' && basename(dirname(folder)) === 'node_modules') || name === 'node-gyp-bin'
}
