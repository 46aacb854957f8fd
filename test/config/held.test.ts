import { describe, expect, it } from 'vitest'
import { clearHeld, heldOf, heldUnder, pointersIn } from '../../src/config/held.ts'
import { takenOut } from '../../src/config/taken-out.ts'
import { DEFAULT_FLAGS } from '../../src/simulator/settings.ts'
import { OPTION_DEFAULTS } from '../../src/config/osquery-defaults.ts'
import { COMMAND_LINE_FLAGS, KNOWN_OPTIONS } from '../../src/config/flags.ts'

describe('what agents hold of a document', () => {
  it('is its options, its excluded paths by category, and the keys that stay where they are left out', () => {
    expect(
      pointersIn(
        JSON.stringify({
          options: { verbose: true, 'a/b': 1 },
          exclude_paths: { etc: ['/etc/x'] },
          views: { v: 'SELECT 1' },
          yara: { signatures: { a: [] } },
          schedule: { q: {} },
          decorators: { load: ['SELECT 1'] },
          file_paths: { etc: ['/etc/%%'] },
        }),
      ),
    ).toEqual(['/options/verbose', '/options/a~1b', '/exclude_paths/etc', '/views', '/yara'])
  })

  it('is nothing of what is empty, of null, and of flags that agents take from the command line only', () => {
    const text = '{"options":{"pack_delimiter":"","verbose":null,"tls_hostname":"x"},"views":{},"events":[]}'
    expect(pointersIn(text)).toEqual([])
  })

  it('is what packs set, too', () => {
    const text = '{"packs":{"a":{"options":{"verbose":true}},"*":{"b":{"yara":{"signatures":{}}}}}}'
    expect(pointersIn(text)).toEqual(['/options/verbose', '/yara'])
  })
})

describe('a document that leaves something out that agents hold', () => {
  it("sends osquery's default, or the empty object that clears it", () => {
    expect(
      clearHeld('{"schedule":{}}', ['/options/distributed_interval', '/options/pack_delimiter', '/views']),
    ).toEqual({
      text: '{"schedule":{},"views":{},"options":{"distributed_interval":60,"pack_delimiter":"_"}}',
      cleared: [
        { pointer: '/options/distributed_interval', value: 60 },
        { pointer: '/options/pack_delimiter', value: '_' },
        { pointer: '/views', value: {} },
      ],
      lasting: [],
    })
  })

  it('keeps what it says itself, byte for byte where nothing is missing', () => {
    const text = '{ "options":{"verbose":1.0e0},"views":{}}'
    expect(clearHeld(text, ['/options/verbose', '/views']).text).toBe(text)
    expect(clearHeld('{"options":{"z":1.0e2}}', ['/options/verbose']).text).toBe(
      '{"options":{"z":1.0e2,"verbose":false}}',
    )
    expect(clearHeld('not JSON', ['/options/verbose']).text).toBe('not JSON')
  })

  it.each([
    ['/options/host_identifier', 'agents read it when they start'],
    ['/options/config_tls_refresh', "osquery's default, 0, would end the agent's refreshes"],
    ['/options/custom_x', "osquery's default is not known here"],
    ['/events', 'agents have no way to take it back'],
    ['/exclude_paths/etc', 'agents have no way to take it back'],
  ])('never sends %s: it lasts until restart', (pointer, reason) => {
    expect(clearHeld('{}', [pointer])).toEqual({ text: '{}', cleared: [], lasting: [{ pointer, reason }] })
  })

  it('takes an empty text for not said: agents skip it', () => {
    expect(clearHeld('{"options":{"pack_delimiter":""}}', ['/options/pack_delimiter']).text).toBe(
      '{"options":{"pack_delimiter":"_"}}',
    )
  })

  it('knows two names of one flag', () => {
    const text = '{"options":{"logger_tls_max_linesize":10}}'
    expect(clearHeld(text, ['/options/logger_tls_max']).text).toBe(text)
    expect(clearHeld('{}', ['/options/logger_tls_max']).text).toBe('{"options":{"logger_tls_max":1048576}}')
  })

  it('leaves an option alone that one of its packs sets', () => {
    const text = '{"packs":{"a":{"options":{"verbose":true}}}}'
    expect(clearHeld(text, ['/options/verbose']).text).toBe(text)
  })
})

describe('who may hold something', () => {
  const held = heldOf({
    document: '{"options":{"verbose":true}}',
    layers: [
      { name: 'linux', match: { platform: 'linux' }, document: '{"options":{"logger_tls_period":9}}' },
      { name: 'canary', match: { tag: 'canary' }, document: '{"views":{"v":"SELECT 1"}}' },
    ],
  })
  const linux = { platform: 'linux' }

  it('of a platform’s layer: nodes of that platform only, as long as they can be told', () => {
    expect(heldUnder(held, [linux], 0)).toEqual(['/options/verbose', '/views'])
    expect(heldUnder(held, [linux], 1)).toEqual(['/options/logger_tls_period', '/options/verbose', '/views'])
    expect(heldUnder(held, [{ platform: 'darwin' }], 1)).toEqual(['/options/verbose', '/views'])
    expect(heldUnder(held, [], 0)).toEqual(['/options/logger_tls_period', '/options/verbose', '/views'])
  })
})

describe('a change', () => {
  it('takes out what a combination of layers had and has no more', () => {
    const layer = (name: string, document: string) => ({ name, match: { tag: name }, document })
    const before = {
      document: '{"options":{"verbose":true,"host_identifier":"uuid"},"schedule":{}}',
      layers: [layer('a', '{"options":{"logger_tls_period":9}}'), layer('b', '{"events":{"x":["y"]}}')],
    }
    const after = {
      document: '{"options":{"verbose":true}}',
      layers: [layer('a', '{"options":{"verbose":null}}'), layer('b', '{"events":{"x":["z"]}}')],
    }
    expect(takenOut(before, after, heldOf(before))).toEqual({
      cleared: [
        { pointer: '/options/logger_tls_period', value: 4 },
        { pointer: '/options/verbose', value: false },
      ],
      lasting: [{ pointer: '/options/host_identifier', reason: 'agents read it when they start' }],
    })
    expect(takenOut(before, before, heldOf(before))).toEqual({ cleared: [], lasting: [] })
    expect(takenOut(before, after, [])).toEqual({ cleared: [], lasting: [] })
  })
})

describe("the table of osquery's defaults", () => {
  it('has options that a configuration may set, with no empty text', () => {
    for (const [name, value] of OPTION_DEFAULTS) {
      expect(COMMAND_LINE_FLAGS.has(name), name).toBe(false)
      expect(KNOWN_OPTIONS.has(name) || name === 'config_tls_accelerated_refresh', name).toBe(true)
      expect(value).not.toBe('')
    }
  })

  it('is what agents have, as far as the simulated one has it', () => {
    for (const [name, value] of OPTION_DEFAULTS)
      if (name in DEFAULT_FLAGS) expect([name, DEFAULT_FLAGS[name]]).toEqual([name, String(value)])
  })
})
