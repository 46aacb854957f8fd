/** A failure that the user can do something about: its message is shown as it is, without a stack. */
export class StartFailure extends Error {}
