def rd(p): return open(p).read()
def wr(p,s): open(p,'w').write(s)
s=rd('lib/sign-in/build-ticket.ts'); a=s.index("/**\n * How and when the user signed in."); blk=s[a:]; wr('lib/sign-in/build-ticket.ts', s[:a].rstrip()+"\n")
wr('lib/tokens/authentication-claims.ts',"import type { AuthenticationClaims } from '../protocol/claims.js'\nimport type { Ticket } from '../store/ticket.js'\n\n"+blk.rstrip()+"\n")
for p,a,b in [('lib/tokens/refresh-claims.ts',"'../sign-in/build-ticket.js'","'./authentication-claims.js'"),
  ('test/sign-in/build-ticket.test.ts',"import { authenticationOf, buildTicket } from '../../lib/sign-in/build-ticket.js'","import { buildTicket } from '../../lib/sign-in/build-ticket.js'\nimport { authenticationOf } from '../../lib/tokens/authentication-claims.js'"),
  ('lib/store/store.ts',"  const idle = Math.floor(settings.idle)\n  const absolute = Math.floor(settings.absolute)\n","  const [idle, absolute] = [Math.floor(settings.idle), Math.floor(settings.absolute)]\n"),
  ('lib/sign-in/build-ticket.ts',"{ type AuthenticationClaims, keepAuthentication }","{ keepAuthentication }"),
  ('package.json','test/sessions/like','test/session/like'),
  ]:
    s=rd(p); assert a in s,(p,a); wr(p,s.replace(a,b))
p='test/tools/mutate.ts'; s=rd(p)
s=s.replace("changes lib/protocol and lib/handlers in small ways","changes lib/protocol and the rooms that serve requests in small ways")
s=s.replace("/^(protocol|handlers)\\//.test(name)","/^protocol\\//.test(name) || servesRequests(name)")
s=s.replace("function isAccepted(","/** The rooms that are tested as a site. */\nfunction servesRequests(name: string): boolean {\n  return /^(middleware|sign-in|sign-out|session|tokens|api|http)\\//.test(name)\n}\n\nfunction isAccepted(",1)
s=s.replace("name.startsWith('handlers/')","servesRequests(name)")
s=s.replace("['handlers', 'attacks', 'logout', 'tokens', 'conformance', 'sessions', 'diagnostics']","['middleware', 'sign-in', 'http', 'attacks', 'sign-out', 'tokens', 'api', 'conformance', 'session', 'diagnostics']")
s=s.replace("""  const folder = /logout|sign-out|end-session|session-management|provider-request/.test(name)
    ? 'logout'
    : /token|refresh|renewal|api|proxy|step-up|scope/.test(name)
      ? 'tokens'
      : undefined
  return folder === undefined ? [] : testsIn(folder)""","""  return testsIn(name.split('/')[0] ?? '')""")
wr(p,s)
p='lib/store/store.ts'; s=rd(p)
s=s.replace("timeout, cookie } = settings","timeout, cookie, log } = settings").replace("\n  const { log } = settings\n","\n").replace("  const loader = createLoader(","  const loader = createLoader(")
s=s.replace("  const { load } = loader\n","").replace("  const loader = createLoader({","  const loader = createLoader({")
wr(p,s)
