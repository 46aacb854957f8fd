/** What `npm run keys` does, command by command. Each asks what it must know before it changes anything. */

import { CliFailure } from '../failure.ts'
import { KEYS_USAGE, parseKeysOptions, type KeysOptions } from './options.ts'
import {
  fingerprintOf,
  idsOf,
  newSecret,
  parseSecret,
  switchedTo,
  textOfSecret,
  withKey,
  withoutKey,
  type KeySecret,
} from './secret.ts'
import { KeysServer, type ServerKey, type ServerKeys } from './server.ts'
import { storeOf, type KeyStore } from './store.ts'

/** A new version of a Worker is everywhere within minutes; isolates of the one before live on for some more. */
const KNOWN_EVERYWHERE_AFTER_MS = 5 * 60_000

type Print = (line: string) => void
interface Task {
  options: KeysOptions
  store: KeyStore
  print: Print
}

/** Runs the command; its exit code. Throws CliFailure with what the user can mend. `storeFor` is for tests. */
export async function runKeys(args: readonly string[], print: Print, storeFor = storeOf): Promise<number> {
  const options = parseKeysOptions(args)
  if (options === undefined) {
    print(KEYS_USAGE)
    return 0
  }
  await COMMANDS[options.command]({ options, store: storeFor(options.place), print })
  return 0
}

const COMMANDS: Record<KeysOptions['command'], (task: Task) => Promise<void>> = {
  status,
  init,
  add,
  switch: switchKey,
  revoke,
  retire,
}

async function status(task: Task): Promise<void> {
  const secret = await secretOf(task.store)
  const server = await serverKeys(task.options)
  task.print(task.store.path)
  for (const id of idsOf(secret)) {
    const there = server?.items.find((key) => key.id === id)
    const current = secret.current === id ? ' current' : ''
    task.print(
      `  ${id}  ${fingerprintOf(secret, id)}${current}${there === undefined ? '' : serverText(there)}`,
    )
    if (server !== undefined) noteDifference(task, secret, id, there)
    for (const { detail } of there?.current === false ? there.blockers : [])
      task.print(`      not yet: ${detail}`)
  }
  for (const key of server?.items.filter(({ id }) => !(id in secret.keys)) ?? [])
    task.print(
      `  ${key.id}  ${key.fingerprint} ${key.inSecret ? 'on the server, not in the file!' : 'retired'}`,
    )
  if (server !== undefined && server.unknownNodes > 0)
    task.print(`${server.unknownNodes} nodes enrolled before it was noted what signed their key.`)
}

function serverText({ nodes, retirable, revocation }: ServerKey): string {
  const revoked = revocation === null ? '' : `, revoked, ${revocation.remaining} to enroll anew`
  return `  ${nodes} nodes${revoked}${retirable ? ', may be retired' : ''}`
}

function noteDifference({ print }: Task, secret: KeySecret, id: string, there: ServerKey | undefined): void {
  if (there === undefined || !there.inSecret) print('      the server does not have it')
  else if (there.fingerprint !== fingerprintOf(secret, id))
    print('      the server has another key of this id!')
  else if (there.current !== (secret.current === id))
    print('      the server does not agree which is current')
}

async function init({ store, options, print }: Task): Promise<void> {
  if ((await store.read()) !== undefined) throw new CliFailure(`${store.path} has keys already.`)
  const isDeployed = await store.isDeployed()
  if (isDeployed !== false && !options.force) {
    throw new CliFailure(
      isDeployed === true
        ? 'The Worker has keys that are not in this file: with others every agent would have to enroll anew. --force'
        : 'It cannot be told whether the Worker has keys already. --force where it is a new one.',
    )
  }
  await store.write(textOfSecret(newSecret()))
  print(`Made k1 in ${store.path}. Keep a copy in a safe place.`)
}

async function add({ store, options, print }: Task): Promise<void> {
  const server = await serverKeys(options)
  const { id, secret } = withKey(
    await secretOf(store),
    (server?.items ?? []).map((key) => key.id),
  )
  await store.write(textOfSecret(secret))
  print(
    `Added ${id} (${fingerprintOf(secret, id)}): known, and signing nothing yet. ${store.afterwards}`.trim(),
  )
  print(`When every Worker has had it for some minutes: npm run keys -- switch --id ${id} …`)
}

async function switchKey({ store, options, print }: Task): Promise<void> {
  const before = await secretOf(store)
  const after = switchedTo(before, options.id)
  if (!options.force) {
    const server = await serverKeys(options)
    if (server !== undefined) assertKnown(server, before, options.id)
    else if (options.place.kind === 'deployment')
      throw new CliFailure(
        '--url and --token-file, to see that the Worker knows the key. --force goes without.',
      )
  }
  await store.write(textOfSecret(after))
  print(`${options.id} signs from now on; ${before.current} goes on verifying. ${store.afterwards}`.trim())
  print(
    `Nodes keep keys under ${before.current} until they enroll anew: npm run keys -- revoke --id ${before.current} …`,
  )
}

/** A Worker that did not know the new key would say `retry` to every node that has just enrolled. */
function assertKnown(server: ServerKeys, secret: KeySecret, id: string): void {
  const there = server.items.find((key) => key.id === id)
  if (there === undefined || !there.inSecret) throw new CliFailure(`The server does not know ${id} yet.`)
  assertSame(there, secret)
  const sinceMs = there.firstSeenAt === null ? Number.NaN : Date.parse(there.firstSeenAt)
  if (!(Date.now() - sinceMs >= KNOWN_EVERYWHERE_AFTER_MS))
    throw new CliFailure(
      `The server has ${id} for less than five minutes: some of it may not know it yet. --force`,
    )
}

function assertSame(there: ServerKey, secret: KeySecret): void {
  if (there.fingerprint !== fingerprintOf(secret, there.id))
    throw new CliFailure(`The server has another ${there.id} than this file: is it another deployment's?`)
}

async function revoke({ options, print }: Task): Promise<void> {
  const { access, id, maxNodes, over, force } = options
  if (access === undefined) throw new CliFailure('--url and --token-file, please: the server revokes.')
  const server = await KeysServer.of(access)
  const plan =
    maxNodes === undefined
      ? await server.preview(id, over)
      : await server.revoke(id, { maxNodes, over, force })
  const online = plan.online === null ? '' : `, ${plan.online} of them online now`
  print(`${maxNodes === undefined ? 'Would revoke' : 'Revoked'} the keys of ${plan.nodes} nodes${online}.`)
  print(`They enroll anew by themselves, over ${plan.overSeconds} s, until ${plan.doneAt}.`)
  for (const warning of plan.warnings) print(`Warning: ${warning}.`)
  if (maxNodes === undefined) print(`To do it: --max-nodes ${plan.nodes}`)
}

async function retire({ store, options, print }: Task): Promise<void> {
  const before = await secretOf(store)
  const after = withoutKey(before, options.id)
  const server = await serverKeys(options)
  if (server === undefined && !options.force)
    throw new CliFailure('--url and --token-file, to see who depends on the key. --force goes without.')
  const there = server?.items.find((key) => key.id === options.id)
  if (there !== undefined) assertSame(there, before)
  if (there?.current === true) throw new CliFailure(`On the server ${options.id} is the current key still.`)
  const reasons = (there?.blockers ?? []).map(({ detail }) => `  ${detail}`)
  if (reasons.length > 0 && !options.force)
    throw new CliFailure(
      [`${options.id} may not leave yet:`, ...reasons, '--force does it all the same.'].join('\n'),
    )
  await store.write(textOfSecret(after))
  print(`${options.id} is out. What is still under it is void. ${store.afterwards}`.trim())
}

async function secretOf(store: KeyStore): Promise<KeySecret> {
  const text = await store.read()
  if (text === undefined)
    throw new CliFailure(`${store.path} is not there: npm run keys -- init makes the first key.`)
  return parseSecret(text)
}

async function serverKeys({ access }: KeysOptions): Promise<ServerKeys | undefined> {
  return access === undefined ? undefined : (await KeysServer.of(access)).keys()
}
