import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests marked concurrent wait for deadlines, they do not compute.
    maxConcurrency: 20,
    // Each file that starts a server runs a workerd of its own.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
})
