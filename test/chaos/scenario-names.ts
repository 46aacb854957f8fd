/** What `--scenario` may name; what each does is in scenarios.ts. */
export const SCENARIOS = ['faults'] as const
export type ScenarioName = (typeof SCENARIOS)[number]
