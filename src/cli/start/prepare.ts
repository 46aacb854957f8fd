/**
 * Makes the local database ready before the server opens its port: applies the migrations and seeds the first environment.
 * A program of its own, so that wrangler's code and runtime are gone before the server starts, and so that a signal to the
 * starter does not end them half-way.
 */

import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { getPlatformProxy, unstable_readConfig } from 'wrangler'

import { seedFirstEnvironment } from '../../db/seed.ts'
import { runWrangler } from '../wrangler.ts'
import { LOCAL, LOCAL_FILES, ROOT, STATE } from './local-paths.ts'
import { STARTER_CONFIGURATION } from './starter-configuration.ts'

const config = unstable_readConfig({ config: join(ROOT, 'wrangler.toml') }, { hideWarnings: true })

/** The database alone: the other bindings would start a runtime that warns of classes it does not find. */
async function withDatabase<Result>(use: (db: D1Database) => Promise<Result>): Promise<Result> {
  const configPath = join(LOCAL, 'database.json')
  const { name, compatibility_date, d1_databases } = config
  await writeFile(configPath, JSON.stringify({ name, compatibility_date, d1_databases }))
  const proxy = await getPlatformProxy<{ DB: D1Database }>({
    configPath,
    persist: { path: join(STATE, 'v3') },
    remoteBindings: false,
    envFiles: [],
  })
  try {
    return await use(proxy.env.DB)
  } finally {
    await proxy.dispose()
  }
}

async function hasPendingMigrations(db: D1Database): Promise<boolean> {
  const wanted = (await readdir(join(ROOT, 'migrations'))).filter((name) => name.endsWith('.sql'))
  const table = await db.prepare("SELECT name FROM sqlite_master WHERE name = 'd1_migrations'").first()
  if (table === null) return true
  const { results } = await db.prepare('SELECT name FROM d1_migrations').all<{ name: string }>()
  const applied = new Set(results.map(({ name }) => name))
  return wanted.some((name) => !applied.has(name))
}

function applyMigrations(): void {
  const applied = runWrangler(
    ['d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', STATE],
    'collect',
  )
  if (!applied.ok) throw new Error(`The migrations could not be applied.\n${applied.output}`)
}

async function applySeed(db: D1Database): Promise<void> {
  await seedFirstEnvironment(db, {
    environmentName: 'default',
    enrollSecret: await readFile(LOCAL_FILES.enrollSecret, 'utf8'),
    operatorToken: await readFile(LOCAL_FILES.operatorToken, 'utf8'),
    configurationText: STARTER_CONFIGURATION,
  })
}

// One visit to the database where nothing is pending, which is each start but the first.
const seeded = await withDatabase(async (db) => {
  if (await hasPendingMigrations(db)) return false
  await applySeed(db)
  return true
})
if (!seeded) {
  applyMigrations()
  await withDatabase(applySeed)
}
