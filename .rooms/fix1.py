import re,subprocess
def rd(p): return open(p).read()
def wr(p,s): open(p,'w').write(s)
def sub(p, *pairs):
    s=rd(p)
    for a,b in pairs:
        assert a in s, (p,a)
        s=s.replace(a,b)
    wr(p,s)
mv=lambda a,b: subprocess.check_call(['git','mv',a,b])
mv('lib/middleware/route-methods.ts','lib/http/route-methods.ts')
sub('lib/middleware/routes.ts',("'./route-methods.js'","'../http/route-methods.js'"))
sub('lib/sign-in/callback.ts',("'../middleware/route-methods.js'","'../http/route-methods.js'"))
mv('lib/sign-in/user-agent.ts','lib/http/user-agent.ts')
sub('lib/sign-in/complete-sign-in.ts',("'./user-agent.js'","'../http/user-agent.js'"))
sub('lib/sign-out/sessions.ts',("'../sign-in/user-agent.js'","'../http/user-agent.js'"))
# accessTokenFields
s=rd('lib/sign-in/build-ticket.ts')
a=s.index("/**\n * An access token as it is kept."); b=s.index("/** The ticket of a sign-in that passed")
fn=s[a:b]; s=s[:a]+s[b:]
s=s.replace("import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'","import type { IdTokenClaims } from '../protocol/wire.js'").replace("import type { AuthenticationResult } from './authenticate.js'","import { accessTokenFields } from '../tokens/access-token-fields.js'\nimport type { AuthenticationResult } from './authenticate.js'")
wr('lib/sign-in/build-ticket.ts',s)
wr('lib/tokens/access-token-fields.ts',"import { type Config, epochSeconds } from '../options/config.js'\nimport type { TokenResponse } from '../protocol/wire.js'\n\n"+fn.rstrip()+"\n")
for f in ['token-exchange','client-tokens','refresh-response']:
    sub(f'lib/tokens/{f}.ts',("'../sign-in/build-ticket.js'","'./access-token-fields.js'"))
# isSilentRefusal
s=rd('lib/sign-in/refused-sign-in.ts')
a=s.index("/** Answers to `prompt=none`"); b=s.index("/** Answers of a provider that does not"); block1=s[a:b]; s=s[:a]+s[b:]
a=s.index("/** Whether the provider refused a sign-in that was asked for with"); b=s.index("/** The error of a response that is not"); block2=s[a:b]; s=s[:a]+s[b:]
s=s.replace("import { formatProviderError } from","import { formatProviderError, isSilentRefusal } from")
wr('lib/sign-in/refused-sign-in.ts',s)
s=rd('lib/protocol/provider-error.ts').rstrip()+"\n\n"+block1.replace('expected','silentRefusals')+block2.replace('expected.','silentRefusals.').rstrip()+"\n"
wr('lib/protocol/provider-error.ts',s)
# pageAskedFor
s=rd('lib/sign-in/login.ts')
a=s.index("/**\n * The page a signed-out visitor wanted."); s=s[:a].rstrip()+"\n"
s=s.replace("?? pageAskedFor(context)","?? pageAskedFor(context.req, config)")
wr('lib/sign-in/login.ts',s)
s=rd('lib/http/return-to.ts')
s=s.replace("import { type Config, publicPath }","import type { Request } from 'express'\nimport { type Config, publicPath }").replace("import { parseReturnTo } from '../protocol/return-to.js'","import { parseReturnTo } from '../protocol/return-to.js'\nimport { isFrame, isNavigation } from './fetch-metadata.js'")
s=s.rstrip()+'''

/** The page a user who is not signed in wanted. A script's call and a posted form have no page of their own: the one they came from has to do. */
export function pageAskedFor(req: Request, config: Config): string {
  const isPage = (isNavigation(req) || isFrame(req)) && req.method === 'GET'
  return returnToOf(config, isPage ? req.originalUrl : req.headers.referer)
}
'''
wr('lib/http/return-to.ts',s)
sub('lib/http/error-response.ts',("import { pageAskedFor } from '../sign-in/login.js'\nimport { isSilentRefusal } from '../sign-in/refused-sign-in.js'\n","import { isSilentRefusal } from '../protocol/provider-error.js'\n"),("import { returnToOf } from './return-to.js'","import { pageAskedFor, returnToOf } from './return-to.js'"),("isFrame(context.req) ? returnToOf(config, context.req.headers.referer) : pageAskedFor(context)","isFrame(context.req) ? returnToOf(config, context.req.headers.referer) : pageAskedFor(context.req, config)"))
# isTokenRefused
s=rd('lib/sign-in/authenticate.ts')
a=s.index("/** Whether the provider does not take the access token any more"); b=s.index("/** Steps 6, left half, and 7. */"); blk=s[a:b]; s=s[:a]+s[b:]
wr('lib/sign-in/authenticate.ts',s)
p='lib/provider/user-info-endpoint.ts'
wr(p,rd(p).rstrip()+"\n\n"+blk.rstrip()+"\n")
if 'OidcError' not in rd(p).split('\n\n')[0]: print('OidcError import needed in', p)
s=rd('lib/api/user-info.ts').replace("'../sign-in/authenticate.js'","'../provider/user-info-endpoint.js'"); wr('lib/api/user-info.ts',s)
s=rd('lib/sign-in/authenticate.ts')
lines=s.split('\n'); i=max(k for k,l in enumerate(lines[:25]) if l.startswith('import') or l.startswith('} from'))
lines.insert(i+1,"import { isTokenRefused } from '../provider/user-info-endpoint.js'"); wr('lib/sign-in/authenticate.ts','\n'.join(lines))
# the request knows itself
s=rd('lib/http/request-context.ts')
s=s.replace("  /** The tokens, read now;","  /** Names the session in lists of sessions; `undefined` when no user is signed in. */\n  handle(): string | undefined {\n    const { record, services } = this\n    return record === undefined || this.ticket() === undefined ? undefined : services.store.handleOf(record.id)\n  }\n\n  /** The tokens, read now;")
wr('lib/http/request-context.ts',s)
s=rd('lib/middleware/request.ts')
a=s.index("  /** @internal For guards that look closer. */"); b=s.index("  async accessToken(options?"); s=s[:a]+s[b:]
a=s.index("  /** @internal Another token than"); b=s.index("  async fetch(url"); s=s[:a]+s[b:]
a=s.index("  /** @internal Answers with an error"); b=s.index("  async #accessToken("); s=s[:a]+s[b:]
a=s.index("  async #accessToken("); b=s.index("  async #tokens()"); s=s[:a]+s[b:]
s=s.replace("return this.#accessToken(readAccessToken(options))","return getAccessToken(this.#visit, readAccessToken(options))")
s=re.sub(r"this\.#run\(\(\) => ","withChallenge(this.#visit, () => ",s)
a=s.index("  get handle(): string"); b=s.index("  async accessToken(options?"); s=s[:a]+"  get handle(): string | undefined {\n    return this.#visit.handle()\n  }\n\n"+s[b:]
a=s.index("/**\n * The context of a request, as the guards see it."); b=s.index("const defineAccessor"); ctx=s[a:b]; s=s[:a]+s[b:]
s=s.replace("this.#visit","this.#context").replace("readonly #visit:","readonly #context:").replace("/** The ticket's face. One per request, made on first access. */","/** Implements `req.oidc`. One per request, made on first access. */")
s=s.replace("notes","state")
wr('lib/middleware/request.ts',s)
s=rd('lib/http/request-state.ts')
s=s.replace("import type { RequestContext } from './request-context.js'","import { OidcError } from '../errors.js'\nimport type { Config } from '../options/config.js'\nimport { varyByCookie } from './cookies.js'\nimport type { RequestContext } from './request-context.js'")
s=s.replace("/** `req.oidc`, once somebody has read it. */","/** `req.oidc`, once it was read. */").replace("/** Brings the session about; waits for somebody who wants it. */","/** Creates `req.session` on first access. */").replace("/** The notes about a request, new ones where there are none. */","/** The state of a request, created where there is none. */").replace("/** The notes about a request, if there are any. */","/** The state of a request, if there is any. */")
s=s.rstrip()+'''

/**
 * The context of a request, for guards and proxies. What they decide depends on the cookie.
 *
 * @param config - of the instance that is meant. Left out: the one instance the request has passed
 * @throws {OidcError} ERR_OIDC_NOT_MOUNTED, ERR_OIDC_SEVERAL_INSTANCES
 */
export function contextOf(req: Request, config?: Config): RequestContext {
  const state = findRequestState(req)
  if (config === undefined && state?.others !== undefined) {
    throw new OidcError(
      'ERR_OIDC_SEVERAL_INSTANCES',
      'this request has passed two instances of openIdConnect: use the guards of one, such as oidc.requiresAuth()',
    )
  }
  const passed = [state?.context, ...(state?.others ?? [])].filter(context => context !== undefined)
  const context = config === undefined ? passed[0] : passed.find(({ services }) => services.config === config)
  if (context === undefined) {
    const message =
      config === undefined
        ? 'mount openIdConnect with app.use() before the routes it protects'
        : 'mount the instance a guard belongs to before the routes it protects'
    throw new OidcError('ERR_OIDC_NOT_MOUNTED', message)
  }
  varyByCookie(context.res)
  return context
}
'''
wr('lib/http/request-state.ts',s)
wr('lib/http/access-token.ts','''import type { AccessToken, AccessTokenRequest } from '../tokens/access-tokens.js'
import { addChallenge } from './error-response.js'
import type { RequestContext } from './request-context.js'

/**
 * The access token of the user who is signed in.
 *
 * @throws {OidcError} those of {@link AccessTokens.get}
 */
export function getAccessToken(context: RequestContext, options: AccessTokenRequest = {}): Promise<AccessToken> {
  return withChallenge(context, () => context.whileSignedIn(id => context.services.accessTokens.get(id, options)))
}

/** Does something for a signed-in user. An error that the site's own handler responds with says where to sign in, too. */
export async function withChallenge<T>(context: RequestContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    addChallenge(context, error)
    throw error
  }
}
''')
# guards
s=rd('lib/middleware/guards.ts')
s=s.replace("import { contextOf, type SignedInRequest } from './request.js'\n","")
s=s.replace("import { isNavigation } from '../http/fetch-metadata.js'\n","import { respondWithError } from '../http/error-response.js'\nimport { isNavigation } from '../http/fetch-metadata.js'\nimport type { RequestContext } from '../http/request-context.js'\nimport { contextOf } from '../http/request-state.js'\n")
s=s.replace("import type { LoginOptions } from '../sign-in/login-options.js'","import { reauthenticate, startLogin } from '../sign-in/login.js'\nimport type { LoginOptions } from '../sign-in/login-options.js'")
s=s.replace("import type { Config } from '../options/config.js'","import { type Config, epochSeconds } from '../options/config.js'")
s=s.replace("type Check = (context: SignedInRequest, ticket: Ticket)","type Check = (ticket: Ticket, config: Config)")
s=s.replace("const check: Check = ({ time }, ticket) => findChallenge(ticket, requirement, time)","const check: Check = (ticket, { now, clockTolerance }) =>\n        findChallenge(ticket, requirement, { now: epochSeconds({ now }), clockTolerance })")
s=s.replace("guard(config, ({ user }) => {\n        const claim = user !== undefined && Object.hasOwn(user, name) ? user[name] : undefined","guard(config, ({ claims }) => {\n        const claim = Object.hasOwn(claims, name) ? claims[name] : undefined")
s=s.replace("const check: Check = (_context, ticket) =>","const check: Check = ticket =>")
a=s.index("    let context: SignedInRequest")
s=s[:a]+'''    let context: RequestContext
    try {
      context = contextOf(req, config)
    } catch (error) {
      return next(error)
    }
    const fail = (error: unknown) => respondWithError(context, error, next)
    const ticket = context.ticket()
    if (ticket === undefined) {
      if (isNavigation(req)) startLogin(context, first).catch(fail)
      else fail(new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'nobody is signed in'))
      return
    }
    const challenge = check(ticket, context.services.config)
    if (challenge === undefined) next()
    else if (challenge.login !== undefined && isNavigation(req)) reauthenticate(context, challenge.login).catch(fail)
    else fail(challenge.error)
  }
}
'''
wr('lib/middleware/guards.ts',s)
# login
s=rd('lib/sign-in/login.ts')
s=s.replace("import { enforceParams, type LoginOptions, wireParams } from './login-options.js'","import { withHint } from './login-hint.js'\nimport { enforceParams, type LoginOptions, wireParams } from './login-options.js'")
s=s.rstrip()+'''

/** Sends a user who is signed in to the provider for more, and back. */
export async function reauthenticate(context: RequestContext, options: LoginOptions): Promise<void> {
  return startLogin(context, await withHint(context, options))
}
'''
wr('lib/sign-in/login.ts',s)
# proxy
s=rd('lib/api/proxy.ts')
s=s.replace("import { contextOf, type SignedInRequest } from '../middleware/request.js'\n","import { respondWithError } from '../http/error-response.js'\nimport type { RequestContext } from '../http/request-context.js'\nimport { contextOf } from '../http/request-state.js'\n")
s=s.replace("import { checkOwnScript, checkSessionHandle } from '../http/csrf-header.js'","import { getAccessToken } from '../http/access-token.js'\nimport { checkOwnScript, checkSessionHandle } from '../http/csrf-header.js'")
s=s.replace("SignedInRequest","RequestContext").replace("context.fail(error, next)","respondWithError(context, error, next)")
s=s.replace("await context.accessToken(wanted)","await getAccessToken(context, wanted)")
s=s.replace("await context.renewAccessToken(wanted, token.value)","await getAccessToken(context, { ...wanted, forceRefresh: true, refused: token.value })")
s=s.replace("  const { ticket, handle } = context\n","  const ticket = context.ticket()\n").replace("checkSessionHandle(req, handle)","checkSessionHandle(req, context.handle())")
s=s.replace("answer(proxy, context, req, res).catch","call(proxy, context, req, res).catch") if False else s
wr('lib/api/proxy.ts',s)
