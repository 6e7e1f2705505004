/** The parts of two packages without types that the benchmark uses. */
declare module 'passport' {
  import type { RequestHandler } from 'express'

  type Done = (error: unknown, user: unknown) => void
  const passport: {
    use(strategy: object): void
    serializeUser(serialize: (user: unknown, done: Done) => void): void
    deserializeUser(deserialize: (user: unknown, done: Done) => void): void
    session(): RequestHandler
    authenticate(strategy: string, options?: object): RequestHandler
  }
  export default passport
}

declare module 'passport-openidconnect' {
  type Verify = (
    issuer: string,
    profile: object,
    context: object,
    idToken: string,
    accessToken: string,
    refreshToken: string,
    done: (error: unknown, user: object) => void,
  ) => void
  export class Strategy {
    constructor(settings: object, verify: Verify)
  }
}
