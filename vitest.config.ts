import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests marked concurrent wait for deadlines, they do not compute.
    maxConcurrency: 20,
    // Each file that starts a server runs a workerd of its own.
    maxWorkers: 4,
    // What the Worker logs is worth reading where a test failed.
    silent: 'passed-only',
    // They end what hangs; a busy machine makes no test fail. So no test has a shorter one of its own.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
