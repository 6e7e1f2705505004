import { randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OidcError } from '../index.js'
import { createEndpoints } from './endpoints.js'
import { createGrantBook, type FakeUser, type SignInOutcome } from './grant-book.js'
import { createSigner } from './signer.js'
import { type TestedSite, withSite } from './tested-site.js'
import { cookieOfSignIn, walkThroughSignIn } from './walk.js'

/** What a fake provider is like. */
export interface FakeProviderOptions {
  /** Who is signed in at the provider, for browsers and for `signIn` without a user. Default: Alice. */
  readonly user?: FakeUser
  /** Default `test-client`. */
  readonly clientId?: string
  /** Default: a random one. */
  readonly clientSecret?: string
  /** Default: any free port. */
  readonly port?: number
  /** Seconds access tokens live. Default 3600. */
  readonly expiresIn?: number
  /**
   * Makes access tokens JWTs (RFC 9068) with this `aud`, so that an API of yours can verify them by the provider's keys. `resource` in a
   * request (RFC 8707) takes its place. Default: access tokens are opaque.
   */
  readonly audience?: string
  /** The clock, where the site's own is not the system's. */
  readonly now?: () => Date
}

/** How one test signs in. */
export interface SignInOptions {
  /**
   * A page of the site that starts a sign-in, with the path that the site is mounted below: `/shop/login`. Default: `/login`, below the path of the
   * address where `site` is one.
   */
  readonly path?: string
  /** The `Cookie` header to begin with: a user who has something in the cart, or who is already signed in. */
  readonly cookie?: string
  /**
   * The `Host` of every request to the site, for one whose `baseUrl` is a list or a function: `www.example.de`. Default: the host of its address, and for an
   * application 127.0.0.1.
   */
  readonly host?: string
}

/** What the site sent to a browser whose sign-in was refused. */
export interface RefusedSignIn {
  /** HTTP status. */
  readonly status: number
  /** By their lower-case names. */
  readonly headers: IncomingHttpHeaders
  /** The page of the site. */
  readonly text: string
  /** The `Cookie` header of that browser. */
  readonly cookie: string
}

/** A provider that signs in every user without a password. For tests only. */
export interface FakeProvider {
  /** Its address, `http://127.0.0.1:<port>`. */
  readonly issuer: string
  /** What the site has to know: `openIdConnect({ ...provider.options, … })`. */
  readonly options: {
    /** Its address. */
    readonly issuer: string
    /** The client it knows. */
    readonly clientId: string
    /** The secret of that client. */
    readonly clientSecret: string
  }
  /**
   * Signs a user in to a site, by the redirects, posts and cookies of a real sign-in, and with all checks of the middleware.
   *
   * @param site - its address, or its Express application, which need not listen anywhere. An application that is mounted below a router can be
   *   given by itself, or with the one around it and `path`
   * @returns the `Cookie` header of a browser that has signed in
   * @throws {Error} the response of the site if the sign-in failed
   */
  signIn(site: TestedSite, user?: FakeUser, options?: SignInOptions): Promise<string>
  /**
   * Goes the same way, but the provider refuses the sign-in, so that a test sees the site's error page.
   *
   * @param error - the error code of the provider. Default `access_denied`: the user cancelled. RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0
   *   section 3.1.2.6
   */
  refuse(site: TestedSite, error?: string, options?: SignInOptions): Promise<RefusedSignIn>
  /** Closes its port. */
  close(): Promise<void>
}

const alice: FakeUser = { sub: 'alice', name: 'Alice Example', email: 'alice@example.com', email_verified: true }

/**
 * Starts an OpenID provider inside this process, on a loopback port: discovery, keys, authorization with every response type, token
 * endpoint with refresh and client credentials, userinfo, revocation, sign-out.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS where NODE_ENV is `production`: this provider does not ask for a password
 */
export async function startFakeProvider(options: FakeProviderOptions = {}): Promise<FakeProvider> {
  if (process.env.NODE_ENV === 'production') {
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'the fake provider does not ask for a password, so it does not run in production',
    )
  }
  const { clientId = 'test-client', clientSecret = randomBytes(24).toString('base64url') } = options
  const { user = alice, port = 0, expiresIn = 3600, audience, now = () => new Date() } = options
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const signer = await createSigner({ issuer, clientId, now })
  const book = createGrantBook(user)
  server.on('request', createEndpoints({ issuer, clientId, clientSecret, expiresIn, audience, signer, book }))

  const walk = (site: TestedSite, pending: SignInOutcome, signInOptions: SignInOptions = {}) =>
    withSite(site, signInOptions.host, (send, below) => {
      const path = signInOptions.path ?? `${below}/login`
      return walkThroughSignIn(send, {
        issuer,
        ...signInOptions,
        path,
        onRequest: state => book.expect(state, pending),
      })
    })

  return {
    issuer,
    options: { issuer, clientId, clientSecret },
    signIn: async (site, signedIn = user, signInOptions) =>
      cookieOfSignIn(await walk(site, { user: signedIn }, signInOptions)),
    async refuse(site, error = 'access_denied', signInOptions) {
      const { response, cookie } = await walk(site, { error }, signInOptions)
      return { status: response.status, headers: response.headers, text: response.text, cookie }
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
