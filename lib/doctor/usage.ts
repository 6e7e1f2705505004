/** A mistake in the command line: its message is for the caller. */
export class UsageError extends Error {}
