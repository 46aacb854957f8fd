import { describe, expect, it } from 'vitest'
import { keepFlagsApart } from '../../src/config/command-line-flags.ts'

describe('options that agents take from the command line only', () => {
  it('are taken out of the document, and everything else keeps its order and its spelling', () => {
    const text =
      '{"schedule":{"2":{"interval":1e1}},"options":{"verbose":"\\u0074rue","tls_hostname":"a","watchdog_level":1,"9":1.0}}'
    const { text: served, flags } = keepFlagsApart(text)
    expect(served).toBe('{"schedule":{"2":{"interval":1e1}},"options":{"verbose":"\\u0074rue","9":1.0}}')
    expect([...flags]).toEqual([
      ['tls_hostname', 'a'],
      ['watchdog_level', 1],
    ])
  })

  it('are not what only looks like them: a name elsewhere, or the alias that agents do take', () => {
    for (const text of [
      '{"schedule":{"tls_hostname":{"query":"SELECT 1"}}}',
      '{"options":{"custom_x":"tls_hostname","config_tls_refresh":60}}',
      '{ "options": [] }',
    ])
      expect(keepFlagsApart(text)).toEqual({ text, flags: new Map() })
  })
})
