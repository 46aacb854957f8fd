import { expect, it } from 'vitest'
import { RETENTION_CLASSES } from '../../src/logs/retention.ts'
import { lifecycleRules } from '../../src/cli/deploy/lifecycle.ts'

it('ends every prefix that the Worker writes with an end', () => {
  const text = JSON.stringify(lifecycleRules())
  const logs = RETENTION_CLASSES.map((days) => `logs/r${days}/`)
  for (const prefix of [...logs, 'quarantine/', 'sink-quarantine/', 'incoming/'])
    expect(text).toContain(`"prefix":"${prefix}"`)
})
