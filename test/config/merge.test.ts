import { describe, expect, it } from 'vitest'
import { mergeLayers } from '../../src/config/merge.ts'

const BASE =
  '{"options":{"utc":true,"logger_tls_period":10},"schedule":{"a":{"query":"x","interval":60}},"z":1.0e2}'

function merged(...documents: string[]): string {
  return mergeLayers(
    BASE,
    documents.map((document, index) => ({ name: `layer-${index}`, document })),
  ).text
}

describe('layers over a base', () => {
  it('leave it as it was written where there are none', () => {
    expect(mergeLayers('{ "a" : 1 }', [])).toEqual({ text: '{ "a" : 1 }', origins: [] })
  })

  it('change single members, add others at the end, and take away with null', () => {
    expect(
      merged('{"schedule":{"a":{"interval":30},"b":{"query":"y"}},"options":{"utc":null},"views":{}}'),
    ).toBe(
      '{"options":{"logger_tls_period":10},"schedule":{"a":{"query":"x","interval":30},"b":{"query":"y"}},"z":1.0e2,"views":{}}',
    )
  })

  it('replace lists as a whole, and what was no object by one', () => {
    expect(
      merged('{"z":[1,{"n":null,"x":12345678901234567890}]}', '{"options":{"utc":{"a":{"b":null,"c":1}}}}'),
    ).toBe(
      '{"options":{"utc":{"a":{"c":1}},"logger_tls_period":10},"schedule":{"a":{"query":"x","interval":60}},"z":[1,{"n":null,"x":12345678901234567890}]}',
    )
  })

  it('are laid in order: the later one wins', () => {
    expect(merged('{"z":1}', '{"z":2}')).toContain('"z":2')
    expect(merged('{"z":2}', '{"z":null}')).not.toContain('"z"')
  })

  it('say where each place came from, at the highest place that is theirs alone', () => {
    const layers = [
      {
        name: 'linux',
        document:
          '{"schedule":{"a":{"interval":30},"b":{"query":"y","platform":"linux"}},"views":{"v":"SELECT 1"}}',
      },
      { name: 'canary', document: '{"schedule":{"b":{"interval":5}},"views":null,"z":null,"nothing":null}' },
    ]
    expect(mergeLayers(BASE, layers).origins).toEqual([
      { pointer: '/schedule/a/interval', layer: 'linux' },
      { pointer: '/schedule/b', layer: 'linux' },
      { pointer: '/schedule/b/interval', layer: 'canary' },
      { pointer: '/views', layer: 'canary' },
      { pointer: '/z', layer: 'canary' },
    ])
  })

  it('know no prototype', () => {
    expect(merged('{"__proto__":{"polluted":true}}')).toContain('"__proto__":{"polluted":true}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})
