/** Where `npm start` keeps what belongs to this machine (`.local/`, git-ignored). */

import { join } from 'node:path'

/** The folder of package.json. */
export const ROOT = join(import.meta.dirname, '..', '..', '..')

/** `npm run serve -- --state DIR` keeps everything of its own below DIR (serve/options.ts). */
const OWN_FOLDER = process.env.OSQUERY_EDGE_STATE

export const LOCAL = OWN_FOLDER === undefined ? join(ROOT, '.local') : join(OWN_FOLDER, 'local')

export const LOCAL_FILES = {
  certificate: join(LOCAL, 'server.pem'),
  certificateKey: join(LOCAL, 'server-key.pem'),
  enrollSecret: join(LOCAL, 'enroll_secret'),
  operatorToken: join(LOCAL, 'operator-token'),
  secrets: join(LOCAL, 'secrets.env'),
  flagfile: join(LOCAL, 'osquery.flags'),
  /** Which processes the running server consists of. */
  run: join(LOCAL, 'run.json'),
} as const

/** wrangler's own default, named because the preparation step and the server must agree on it. */
export const STATE = OWN_FOLDER === undefined ? join(ROOT, '.wrangler', 'state') : join(OWN_FOLDER, 'state')
