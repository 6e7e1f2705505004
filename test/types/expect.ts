/** `true` for two types that are the same, which is stricter than that one fits the other. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles only where the type is `true`. */
export function expectType<_Claim extends true>(): void {}
