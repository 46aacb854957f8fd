/** What a run says while it goes on, by the time since it began. */

const startMs = Date.now()

export function say(text: string): void {
  console.log(`${((Date.now() - startMs) / 1_000).toFixed(1).padStart(7)} s  ${text}`)
}
