/** A failure that the user can do something about: its message is shown as it is, without a stack. */
export class CliFailure extends Error {}

/** Runs a command: its exit code, a message for what the user can mend, the stack of what is our bug. */
export async function runCommand(main: () => Promise<number>): Promise<never> {
  try {
    process.exit(await main())
  } catch (error) {
    console.error(error instanceof CliFailure ? `\n${error.message}` : error)
    process.exit(1)
  }
}
