/** Placeholder until the carve index lands. */
export interface CarveRequest {
  environmentId: string
  nodeId: string
  queryId: string
}

export async function linkCarve(
  _db: D1Database,
  _link: CarveRequest & { carveId: string; path: string },
  _nowMs: number,
): Promise<void> {}

export async function failRequestedCarve(
  _db: D1Database,
  _request: CarveRequest & { message: string },
  _nowMs: number,
): Promise<void> {}
