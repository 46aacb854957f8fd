/** What `--scenario` may name; what each does is in scenarios.ts. */
export const SCENARIOS = ['faults', 'canary'] as const
export type ScenarioName = (typeof SCENARIOS)[number]
