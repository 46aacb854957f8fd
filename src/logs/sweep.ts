export async function sweepInbox(_env: Env): Promise<void> {}
