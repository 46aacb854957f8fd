/** The arguments of `npm start`, and what follows from them. Knows nothing of files or processes. */

import { isIP, isIPv4 } from 'node:net'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'

import { CliFailure } from '../failure.ts'

/** Where agents and the quick start look for it. */
export const DEFAULT_PORT = 8443
// Not the name: where `localhost` is ::1 first, workerd would listen on that alone and 127.0.0.1 would be refused.
const DEFAULT_IP = '127.0.0.1'

export const START_USAGE = `Usage: npm start -- [--port N] [--ip ADDRESS]

  --port N       port to listen on (${DEFAULT_PORT})
  --ip ADDRESS   IP address to listen on (${DEFAULT_IP}; 0.0.0.0 or :: for every interface)`

export interface StartOptions {
  ip: string
  port: number
}

/** `undefined`: the user asked for help. */
export function parseStartOptions(args: readonly string[]): StartOptions | undefined {
  const values = parse(args)
  if (values.help === true) return undefined
  const port = values.port ?? String(DEFAULT_PORT)
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw new CliFailure(`--port must be a number from 1 to 65535, not "${port}".`)
  }
  const ip = values.ip === 'localhost' ? DEFAULT_IP : (values.ip ?? DEFAULT_IP)
  if (isIP(ip) === 0) throw new CliFailure(`--ip must be an IP address, not "${ip}".`)
  return { ip, port: Number(port) }
}

/** The name under which clients on this machine (or, with a given address, others) reach the server. */
export function publicHost({ ip }: StartOptions): string {
  if (isLoopback(ip) || isWildcard(ip)) return 'localhost'
  return bracketed(ip)
}

export function publicUrl(options: StartOptions): string {
  return `https://${publicHost(options)}:${options.port}`
}

/** Where this process itself finds the server. */
export function probeAddress({ ip }: StartOptions): string {
  if (!isWildcard(ip)) return ip
  return isIPv4(ip) ? '127.0.0.1' : '::1'
}

/** Names and addresses that the certificate must be good for. */
export function certificateHosts({ ip }: StartOptions): { names: string[]; ips: string[] } {
  const machine = hostname()
  const names = /^[A-Za-z0-9.-]{1,253}$/.test(machine) ? ['localhost', machine] : ['localhost']
  const ips = ['127.0.0.1', '::1']
  return { names: [...new Set(names)], ips: isWildcard(ip) ? ips : [...new Set([...ips, ip])] }
}

function parse(args: readonly string[]): { port?: string; ip?: string; help?: boolean } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { port: { type: 'string' }, ip: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    })
    return values
  } catch (error) {
    throw new CliFailure(`${error instanceof Error ? error.message : String(error)}\n\n${START_USAGE}`)
  }
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || (isIPv4(ip) && ip.startsWith('127.'))
}

function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::'
}

function bracketed(ip: string): string {
  return isIPv4(ip) ? ip : `[${ip}]`
}
