import { describe, expect, it } from 'vitest'
import { STARTER_CONFIGURATION } from '../../src/cli/start/starter-configuration.ts'
import { checkConfiguration, MAX_COMPACT_BYTES } from '../../src/config/validate.ts'

/** `pointer` for each refusal, `~pointer` for each warning if there is no refusal; null: not JSON. */
function verdict(document: unknown): string[] | null {
  const checked = checkConfiguration(typeof document === 'string' ? document : JSON.stringify(document))
  if (checked.ok) return checked.value.warnings.map(({ pointer }) => `~${pointer}`)
  return checked.reason.kind === 'not-json' ? null : checked.reason.errors.map(({ pointer }) => pointer)
}

function scheduled(query: unknown): unknown {
  return { schedule: { q: query } }
}

function nested(levels: number): string {
  // The root, `logger`, and arrays.
  return `{"logger":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
}

describe('documents that agents can live with', () => {
  it.each([
    ['an empty one', {}],
    ['the starter configuration', STARTER_CONFIGURATION],
    ['a query without interval', scheduled({ query: 'SELECT 1' })],
    ['digits for numbers', scheduled({ query: 'SELECT 1', interval: '60', shard: '50' })],
    ['the longest interval', scheduled({ query: 'SELECT 1', interval: 604_800, shard: 0 })],
    [
      'every key of a query',
      scheduled({
        query: 'SELECT 1',
        interval: 60,
        snapshot: 'true',
        removed: false,
        denylist: 1,
        platform: 'linux,darwin',
        version: '1.5.1-26',
        shard: 100,
        startup_priority: 3,
        description: { any: 'thing' },
        value: null,
      }),
    ],
    [
      'odd names of real packs',
      { schedule: { 'mithra`s_rootkit': { query: 'SELECT 1' }, 'a/b ': { query: 'x' } } },
    ],
    [
      'a pack',
      {
        options: { pack_delimiter: '/' },
        packs: {
          p: {
            platform: 'posix',
            version: '',
            shard: 10,
            discovery: ['SELECT 1'],
            oncall: 'me',
            queries: { q: { query: 'SELECT 2', interval: 60 } },
            file_paths: { etc: ['/etc/%%'] },
          },
        },
      },
    ],
    ['options of each type', { options: { verbose: true, custom_x: '1.5', distributed_interval: 10 } }],
    [
      'decorators',
      { decorators: { load: ['SELECT 1'], always: [], interval: { '60': ['SELECT 2'], '3600': [] } } },
    ],
    [
      'the other parsers',
      {
        file_paths: { a: ['/x'] },
        file_paths_query: { a: ['SELECT path FROM x'] },
        file_accesses: ['a'],
        exclude_paths: { a: ['/x/y'] },
        views: { v: 'SELECT 1' },
        auto_table_construction: { t: { query: 'SELECT a', path: '/p', columns: ['a'], platform: 'darwin' } },
        events: { enable_subscribers: ['a'], disable_subscribers: [], environment_variables: ['PATH'] },
        yara: { signatures: { g: ['/s'] }, file_paths: { a: ['g'] }, signature_urls: ['https://h/*'] },
        prometheus_targets: { urls: ['http://h'], timeout: 5 },
        kafka_topics: { t: ['q'] },
        feature_vectors: {},
        logger: [],
      },
    ],
    ['32 levels', nested(32)],
  ])('are taken without a word: %s', (_what, document) => {
    expect(verdict(document)).toEqual([])
  })
})

describe('documents that agents would break on', () => {
  it.each<[unknown, string[]]>([
    ['[]', ['']],
    ['"x"', ['']],
    ['null', ['']],
    [{ error: null }, ['/error']],
    [{ error: false, schedule: {} }, ['/error']],
    [{ node_invalid: true }, ['/node_invalid']],
    [{ schedule: [] }, ['/schedule']],
    [{ schedule: null }, ['/schedule']],
    [{ packs: 'x' }, ['/packs']],
    [scheduled('SELECT 1'), ['/schedule/q']],
    [scheduled({}), ['/schedule/q']],
    [scheduled({ query: '' }), ['/schedule/q/query']],
    [scheduled({ query: ' ' }), ['/schedule/q/query']],
    [scheduled({ query: ['SELECT 1'] }), ['/schedule/q/query']],
    [scheduled({ query: 'x', interval: 0 }), ['/schedule/q/interval']],
    [scheduled({ query: 'x', interval: -1 }), ['/schedule/q/interval']],
    [scheduled({ query: 'x', interval: 604_801 }), ['/schedule/q/interval']],
    [scheduled({ query: 'x', interval: 1.5 }), ['/schedule/q/interval']],
    [scheduled({ query: 'x', interval: '1h' }), ['/schedule/q/interval']],
    [scheduled({ query: 'x', interval: '' }), ['/schedule/q/interval']],
    [scheduled({ query: 'x', interval: null }), ['/schedule/q/interval']],
    ['{"schedule":{"q":{"query":"x","interval":60.0}}}', ['/schedule/q/interval']],
    ['{"schedule":{"q":{"query":"x","interval":6e1}}}', ['/schedule/q/interval']],
    [scheduled({ query: 'x', snapshot: null }), ['/schedule/q/snapshot']],
    [scheduled({ query: 'x', removed: [] }), ['/schedule/q/removed']],
    [scheduled({ query: 'x', platform: ['linux'] }), ['/schedule/q/platform']],
    [scheduled({ query: 'x', version: 5 }), ['/schedule/q/version']],
    [scheduled({ query: 'x', shard: 101 }), ['/schedule/q/shard']],
    [scheduled({ query: 'x', shard: -1 }), ['/schedule/q/shard']],
    [{ schedule: { '': { query: 'x' } } }, ['/schedule/']],
    [{ schedule: { 'query.x': { query: 'x' } } }, ['/schedule/query.x']],
    [{ schedule: { 'cache.x': { query: 'x' } } }, ['/schedule/cache.x']],
    [{ schedule: { 'config_views.x': { query: 'x' } } }, ['/schedule/config_views.x']],
    [{ schedule: { boot_counter: { query: 'x' } } }, ['/schedule/boot_counter']],
    [{ schedule: { my_epoch: { query: 'x' } } }, ['/schedule/my_epoch']],
    [{ schedule: { 'a/b~c': {} } }, ['/schedule/a~1b~0c']],
    ['{"schedule":{"a":{"query":"x"},"a":{"query":"y"}}}', ['/schedule/a']],
    ['{"schedule":{},"schedule":{}}', ['/schedule']],
    ['{"schedule":{"a":{"query":"x"},"\\u0061":{"query":"y"}}}', ['/schedule/a']],
    [{ packs: { p: '/etc/pack.conf' } }, ['/packs/p']],
    [{ packs: { '*': '/etc/*.conf' } }, ['/packs/*']],
    [{ packs: { '': {} } }, ['/packs/']],
    [{ packs: { p: { queries: [] } } }, ['/packs/p/queries']],
    [{ packs: { p: { queries: { q: { query: 'x', interval: 0 } } } } }, ['/packs/p/queries/q/interval']],
    [{ packs: { '*': { p: { queries: { q: {} } } } } }, ['/packs/*/p/queries/q']],
    [{ packs: { p: { discovery: 'SELECT 1' } } }, ['/packs/p/discovery']],
    [{ packs: { p: { discovery: ['SELECT 1', 5] } } }, ['/packs/p/discovery/1']],
    [{ packs: { p: { platform: 1, shard: 'x' } } }, ['/packs/p/platform', '/packs/p/shard']],
    [{ packs: { p: { decorators: { load: 'x' } } } }, ['/packs/p/decorators/load']],
    [{ options: [] }, ['/options']],
    // Objects and lists are fine: agents make a text of them (spec 3.4).
    [{ options: { a: null, b: {}, c: [1] } }, ['/options/a']],
    [
      { options: { tls_hostname: 'a\n--b=c', watchdog_level: {} } },
      ['/options/tls_hostname', '/options/watchdog_level'],
    ],
    [{ options: { schedule_splay_percent: 1.5 } }, ['/options/schedule_splay_percent']],
    ['{"options":{"distributed_interval":10.0}}', ['/options/distributed_interval']],
    ['{"options":{"a":-2147483649,"b":99999999999999999999}}', ['/options/a', '/options/b']],
    [{ decorators: { load: 'SELECT 1' } }, ['/decorators/load']],
    [{ decorators: { always: [1] } }, ['/decorators/always/0']],
    [
      { decorators: { interval: { '61': [], '0': [], x: [], '60': 'x' } } },
      [
        '/decorators/interval/0',
        '/decorators/interval/60',
        '/decorators/interval/61',
        '/decorators/interval/x',
      ],
    ],
    [{ file_paths: ['/etc'] }, ['/file_paths']],
    [{ file_paths: { etc: '/etc' } }, ['/file_paths/etc']],
    [{ file_paths_query: { etc: [5] } }, ['/file_paths_query/etc/0']],
    [{ file_accesses: { a: 1 } }, ['/file_accesses']],
    [{ views: { v: '' } }, ['/views/v']],
    [
      { auto_table_construction: { t: { query: 'x', columns: 'a' } } },
      ['/auto_table_construction/t', '/auto_table_construction/t/columns'],
    ],
    [{ events: { enable_subscribers: 'x' } }, ['/events/enable_subscribers']],
    [{ yara: { signatures: ['x'] } }, ['/yara/signatures']],
    [
      { prometheus_targets: { urls: 'x', timeout: '5' } },
      ['/prometheus_targets/urls', '/prometheus_targets/timeout'],
    ],
    [
      { logger: 5, kafka_topics: 'x', feature_vectors: null },
      ['/logger', '/kafka_topics', '/feature_vectors'],
    ],
    // With 0 an agent would never refresh again, or poll without a pause.
    [
      { options: { config_tls_refresh: 0, distributed_interval: '0', logger_tls_period: -1, verbose: 0 } },
      ['/options/config_tls_refresh', '/options/distributed_interval', '/options/logger_tls_period'],
    ],
    [
      { options: { distributed_interval: true, logger_tls_period: '10s' } },
      ['/options/distributed_interval', '/options/logger_tls_period'],
    ],
    [
      { packs: { p: { options: { config_tls_accelerated_refresh: 0 } } } },
      ['/packs/p/options/config_tls_accelerated_refresh'],
    ],
    [{ options: { schedule_default_interval: 604_801 } }, ['/options/schedule_default_interval']],
    // osquery's parser would refuse the whole document for these.
    ['{"a":[1e400],"b":-1e309}', ['/a/0', '/b']],
    [`{"a":${'9'.repeat(500)}}`, ['/a']],
    ['{"schedule":{"q":{"query":"\\ud800"}}}', ['/schedule/q/query']],
    ['{"a":["x\\uDC00","\\ud83d\\ude00"],"\\udfff":1}', ['/a/0', '/\udfff']],
    [nested(33), ['']],
    [nested(600), ['']],
  ])('are refused with the place of the fault: %j', (document, pointers) => {
    expect(verdict(document)).toEqual(pointers)
  })

  it.each(['', '{', '{"a":1,}', "{'a':1}", '// x\n{}', '{}{}', '\ufeff{}', '{"q":"a\n"}'])(
    'are no JSON: %j',
    (text) => {
      expect(verdict(text)).toBeNull()
    },
  )

  it('are too large by their compact size alone', () => {
    const filler = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`
    expect(verdict(filler(MAX_COMPACT_BYTES))).toEqual([''])
    expect(verdict(filler(MAX_COMPACT_BYTES - 1).replace(':', `:${' '.repeat(500_000)}`))).toEqual(['~/a'])
  })

  it('are told of a hundred faults at most', () => {
    const schedule = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`q${index}`, 5]))
    expect(verdict({ schedule })).toHaveLength(100)
  })
})

describe('documents that are stored with a warning', () => {
  it.each<[unknown, string[]]>([
    [{ shcedule: {} }, ['~/shcedule']],
    [{ node_invalid: false }, ['~/node_invalid']],
    [scheduled({ query: 'x', intervall: 5 }), ['~/schedule/q/intervall']],
    [scheduled({ query: 'x', snapshot: '1' }), ['~/schedule/q/snapshot']],
    [scheduled({ query: 'x', platform: 'lol' }), ['~/schedule/q/platform']],
    [scheduled({ query: 'x', startup_priority: 'first' }), ['~/schedule/q/startup_priority']],
    [{ schedule: { 'a:b': { query: 'x' } } }, ['~/schedule/a:b']],
    [
      { options: { tls_hostname: 'h', carver_block_size: 5 } },
      ['~/options/tls_hostname', '~/options/carver_block_size'],
    ],
    [{ options: { custom_x: '' } }, ['~/options/custom_x']],
    [{ options: { logger_tls_period: '' } }, ['~/options/logger_tls_period']],
    [scheduled({ query: 'x', version: 'new' }), ['~/schedule/q/version']],
    [
      { auto_table_construction: { t: { query: 'x', path: '/p', columns: ['a', 'Path'] } } },
      ['~/auto_table_construction/t/columns/1'],
    ],
    [{ options: { nosuch_flag: 1, distributed_interval: 9 } }, ['~/options/nosuch_flag']],
    [{ options: { buffered_log_max: 4_294_967_295 } }, ['~/options/buffered_log_max']],
    [{ packs: { p: { queries: { a_b: { query: 'x' } } } } }, ['~/packs']],
    [{ options: { pack_delimiter: '/' }, packs: { 'a/b': { queries: { c: { query: 'x' } } } } }, ['~/packs']],
    [{ packs: { p: { views: {}, purpose: 'x' } } }, ['~/packs/p/views', '~/packs/p/purpose']],
    [{ exclude_paths: { a: ['/x'] } }, ['~/exclude_paths']],
    [{ decorators: { sometimes: [] } }, ['~/decorators/sometimes']],
    [
      { schedule: { q: { query: 'x' } }, packs: { main: { queries: { q: { query: 'y' } } } } },
      ['~/packs/main/queries/q'],
    ],
    [
      { schedule: { q: { query: 'x' } }, packs: { p: { queries: { q: { query: 'y' } } } } },
      ['~/packs/p/queries/q'],
    ],
    [
      { packs: { a: { queries: { b_c: { query: 'x' } } }, a_b: { queries: { c: { query: 'y' } } } } },
      ['~/packs/a_b/queries/c', '~/packs'],
    ],
  ])('%j', (document, pointers) => {
    expect(verdict(document)).toEqual(pointers)
  })

  it('keep what is not known, in its order', () => {
    const text = '{ "z": 1, "schedule": {"2": {"query": "x", "q": 1e300}, "1": {"query": "y"}}, "a": [ ] }'
    const checked = checkConfiguration(text)
    expect(checked).toMatchObject({
      ok: true,
      value: { compact: '{"z":1,"schedule":{"2":{"query":"x","q":1e300},"1":{"query":"y"}},"a":[]}' },
    })
  })

  it('are not fooled by names that every object has', () => {
    expect(
      verdict('{"constructor":{},"__proto__":{"error":1},"schedule":{"toString":{"query":"x","valueOf":1}}}'),
    ).toEqual(['~/constructor', '~/__proto__', '~/schedule/toString/valueOf'])
  })
})
