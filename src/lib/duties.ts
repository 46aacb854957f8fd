/** What an alarm has to do, one thing after the other: a failure of one must not keep the others. */

/** Does all of it; false where something failed, which is logged under `event`. */
export async function runDuties(
  event: string,
  duties: readonly (() => Promise<unknown>)[],
): Promise<boolean> {
  let isDone = true
  for (const duty of duties) {
    try {
      await duty()
    } catch (error) {
      isDone = false
      console.error(JSON.stringify({ event, error: String(error) }))
    }
  }
  return isDone
}
