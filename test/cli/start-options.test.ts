import { describe, expect, test } from 'vitest'

import { certificateHosts, parseStartOptions, probeAddress, publicUrl } from '../../src/cli/start/options.ts'

describe('arguments of npm start', () => {
  test('default to the loopback address and 8443', () => {
    expect(parseStartOptions([])).toEqual({ ip: '127.0.0.1', port: 8443 })
  })

  test('--port and --ip', () => {
    expect(parseStartOptions(['--port', '9000', '--ip', '0.0.0.0'])).toEqual({ ip: '0.0.0.0', port: 9000 })
  })

  test('localhost is taken for the address that a certificate and a port check can use', () => {
    expect(parseStartOptions(['--ip', 'localhost'])?.ip).toBe('127.0.0.1')
  })

  test('--help asks for the usage', () => {
    expect(parseStartOptions(['--help'])).toBeUndefined()
  })

  test.each([
    [['--port', '0'], '--port must be'],
    [['--port', '65536'], '--port must be'],
    [['--port', 'x'], '--port must be'],
    [['--ip', 'example.com'], '--ip must be'],
    [['--prot', '1'], 'Usage: npm start'],
    [['8443'], 'Usage: npm start'],
  ])('%j is refused with a reason', (args, reason) => {
    expect(() => parseStartOptions(args)).toThrow(reason)
  })
})

describe('what follows from the address', () => {
  test.each([
    ['127.0.0.1', 'https://localhost:8443', '127.0.0.1'],
    ['::1', 'https://localhost:8443', '::1'],
    ['0.0.0.0', 'https://localhost:8443', '127.0.0.1'],
    ['::', 'https://localhost:8443', '::1'],
    ['192.0.2.7', 'https://192.0.2.7:8443', '192.0.2.7'],
    ['2001:db8::7', 'https://[2001:db8::7]:8443', '2001:db8::7'],
  ])('%s: the URL to show and the address to probe', (ip, url, probe) => {
    expect(publicUrl({ ip, port: 8443 })).toBe(url)
    expect(probeAddress({ ip, port: 8443 })).toBe(probe)
  })

  test('the certificate names the address, unless it stands for all', () => {
    expect(certificateHosts({ ip: '192.0.2.7', port: 1 }).ips).toEqual(['127.0.0.1', '::1', '192.0.2.7'])
    expect(certificateHosts({ ip: '0.0.0.0', port: 1 }).ips).toEqual(['127.0.0.1', '::1'])
    expect(certificateHosts({ ip: '127.0.0.1', port: 1 }).names).toContain('localhost')
  })
})
