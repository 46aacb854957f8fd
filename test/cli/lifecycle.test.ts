import { expect, it } from 'vitest'
import { RETENTION_DAYS } from '../../src/logs/archive-object.ts'
import { lifecycleRules } from '../../src/cli/deploy/lifecycle.ts'

it('ends every prefix that the Worker writes with an end', () => {
  const text = JSON.stringify(lifecycleRules())
  for (const prefix of [`logs/r${RETENTION_DAYS}/`, 'quarantine/', 'incoming/'])
    expect(text).toContain(`"prefix":"${prefix}"`)
})
