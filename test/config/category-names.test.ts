import { expect, it } from 'vitest'
import { checkConfiguration } from '../../src/config/validate.ts'

function warnedOf(document: object): string[] {
  const checked = checkConfiguration(JSON.stringify(document))
  if (!checked.ok) throw new Error('it is valid')
  return checked.value.warnings.map(({ pointer }) => pointer)
}

it('categories and groups that nothing defines are warned of: agents would silently watch nothing', () => {
  const document = {
    file_paths: { etc: ['/etc/%%'] },
    file_paths_query: { homes: ['SELECT path FROM x'] },
    file_accesses: ['etc', 'homes', 'nope'],
    yara: { signatures: { known: ['/s'] }, file_paths: { etc: ['known', 'lost'], gone: ['known'] } },
  }
  expect(warnedOf(document)).toEqual(['/file_accesses/2', '/yara/file_paths/etc/1', '/yara/file_paths/gone'])
})
