/** A site that has installed the package, in each module format of a project. It signs a user in and prints the result. */

const names = {
  express: 'express',
  ioredis: '{ Redis }',
  'express-hybrid-oidc': '{ OidcError, openIdConnect, requiresAuth }',
  'express-hybrid-oidc/metrics': '{ createMetrics }',
  'express-hybrid-oidc/register': '{ registerClient }',
  'express-hybrid-oidc/session-watch': '{ watchSession }',
  'express-hybrid-oidc/testing': '{ startFakeProvider }',
}

const imports = Object.entries(names).map(([module, what]) => `import ${what} from '${module}'`)
const requires = Object.entries(names).map(([module, what]) => `const ${what} = require('${module}')`)

const body = `
async function main() {
  const provider = await startFakeProvider()
  const redis = new Redis(process.env.REDIS_URL ?? '')
  const app = express()
  const oidc = openIdConnect({
    ...provider.options,
    baseUrl: 'https://www.example.com',
    responseType: 'code id_token token',
    secret: process.env.SESSION_SECRET,
    redis,
  })
  app.use(oidc)
  app.get('/claims', requiresAuth(), (req, res) => { res.json(req.oidc.user) })
  app.get('/lost', () => { throw new OidcError('ERR_OIDC_OPTIONS', 'for example') })
  const cookie = await provider.signIn(app, { sub: 'bob' })
  const server = app.listen(0, async () => {
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    const answer = await fetch('http://127.0.0.1:' + port + '/claims', { headers: { cookie } })
    console.log(JSON.stringify({ node: process.version, status: answer.status, user: await answer.json() }))
    server.closeAllConnections()
    server.close()
    await oidc.close()
    await provider.close()
    redis.disconnect()
  })
}
main()
`

export const asModule = imports.join('\n') + body
export const asCommonJs = requires.join('\n') + body
/** Types as a site uses them, the names of the package's own types included. */
export const asTypeScript = `${imports.join('\n')}
import type { AccessToken, OidcErrorCode, OidcOptions, OpenIdConnect } from 'express-hybrid-oidc'
import type { FakeProvider, FakeUser } from 'express-hybrid-oidc/testing'
export type { AccessToken, FakeProvider, FakeUser, OidcErrorCode, OidcOptions, OpenIdConnect }
${body}`

/** The same site with a client of node-redis. */
export function withNodeRedis(site: string): string {
  return site
    .replace(/\{ Redis \}(?= from| = )/, '{ createClient }')
    .replace(/'ioredis'/, "'redis'")
    .replace("new Redis(process.env.REDIS_URL ?? '')", "createClient({ url: process.env.REDIS_URL ?? '' })")
    .replace('redis.disconnect()', 'redis.destroy()')
}
