import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type OidcOptions, type OpenIdConnect, openIdConnect } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { CONTOSO, type EntraId, FABRIKAM, startEntraId } from '../support/entra-id.js'
import type { Claims } from '../support/hostile-provider.js'
import { startProvider } from '../support/provider.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

interface Setting {
  readonly entra: EntraId
  readonly site: Site
}

async function withEntra(oidc: OidcOptions, run: (setting: Setting) => Promise<void>): Promise<void> {
  const entra = await startEntraId()
  const { issuer, clientId, clientSecret } = entra.provider
  const site = await startSite({
    oidc: { issuer, clientId, clientSecret, ...oidc },
    routes: app => {
      app.get('/fresh', async (req, res) => {
        await req.oidc.accessToken({ forceRefresh: true })
        res.json({ isAuthenticated: req.oidc.isAuthenticated })
      })
      app.get('/info', async (req, res) => {
        res.json(await req.oidc.userInfo({ refresh: req.query.refresh !== undefined }))
      })
    },
  })
  try {
    await run({ entra, site })
  } finally {
    await site.close()
    await entra.provider.close()
  }
}

const open = ({ site }: Setting, agent = createAgent()) => agent.visit(`${site.url}/claims`)

async function refuses(setting: Setting, code: string): Promise<void> {
  const page = await open(setting)
  assert.equal(setting.site.lastCode(), code, page.text)
  assert.equal((await setting.site.oidc.sessions.list({ sub: 'alice-0001', tenant: CONTOSO })).length, 0)
}

describe('many tenants of Entra ID', () => {
  test('users of the tenants that are listed sign in, and the issuer of each is that of its tenant', () =>
    withEntra({ tenants: [CONTOSO, FABRIKAM] }, async setting => {
      const { entra, site } = setting
      assert.equal((await open(setting)).json<Claims>().tid, CONTOSO)
      entra.signsIn(FABRIKAM)
      assert.equal((await open(setting)).json<Claims>().tid, FABRIKAM)
      // The same sub is another user in another tenant.
      for (const tenant of [CONTOSO, FABRIKAM]) {
        const found = await site.oidc.sessions.list({ sub: 'alice-0001', tenant })
        assert.deepEqual(
          found.map(session => session.tenant),
          [tenant],
        )
      }
      assert.equal(await site.oidc.sessions.revoke({ sub: 'alice-0001', tenant: FABRIKAM }), 1)
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001', tenant: CONTOSO })).length, 1)
    }))

  test('a user of one tenant who signs in where a user of another one, with the same sub, was signed in starts clean', async () => {
    const ended: string[] = []
    const signOut = ({ reason }: { readonly reason: string }) => void ended.push(reason)
    await withEntra({ tenants: [CONTOSO, FABRIKAM], hooks: { signOut } }, async setting => {
      const agent = createAgent()
      await open(setting, agent)
      await agent.fetch(`${setting.site.url}/session?note=mine`, { method: 'POST' })
      setting.entra.signsIn(FABRIKAM)
      await agent.visit(`${setting.site.url}/login?returnTo=/user`)
      assert.deepEqual((await agent.fetch(`${setting.site.url}/session`)).json(), {})
      assert.equal((await setting.site.oidc.sessions.list({ sub: 'alice-0001', tenant: CONTOSO })).length, 0)
      assert.deepEqual(ended, ['replaced'])
      assert.equal(agent.page?.url, `${setting.site.url}/`, 'the page that the other user asked for')
    })
  })

  test('a tenant that is not listed is refused: 403', () =>
    withEntra({ tenants: [FABRIKAM] }, async setting => {
      await refuses(setting, 'ERR_OIDC_TENANT_REFUSED')
      assert.equal(setting.entra.provider.count('token'), 0, 'the code was used')
    }))

  test('a function of the site decides; it gets only what was verified, and only true is a yes', async () => {
    const seen: string[] = []
    let decide: (tenant: string) => unknown = async tenant => tenant === CONTOSO
    const tenants = (tenant: string) => {
      seen.push(tenant)
      return decide(tenant) as boolean
    }
    await withEntra({ tenants }, async setting => {
      assert.equal((await open(setting)).status, 200)
      setting.entra.signsIn(CONTOSO, { aud: 'other' })
      const before = seen.length
      await open(setting)
      assert.equal(seen.length, before)
      setting.entra.signsIn(FABRIKAM)
      await open(setting)
      assert.equal(setting.site.lastCode(), 'ERR_OIDC_TENANT_REFUSED')
      decide = () => 'yes'
      await open(setting)
      assert.match(String(setting.site.errors.at(-1)), /must return true or false/)
      decide = () => {
        throw new Error('the database is away')
      }
      await open(setting)
      assert.equal(setting.site.lastCode(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
      assert.deepEqual([...new Set(seen)].sort(), [CONTOSO, FABRIKAM])
    })
  })

  test('a function of the site that does not finish is given up after timeouts.provider', { timeout: 30_000 }, () =>
    withEntra({ tenants: () => new Promise<boolean>(() => {}), timeouts: { provider: 500 } }, setting =>
      refuses(setting, 'ERR_OIDC_PROVIDER_UNAVAILABLE'),
    ),
  )

  const bent: Readonly<Record<string, (entra: EntraId) => Claims>> = {
    'no tid': () => ({ tid: undefined }),
    'the tid of another tenant, which is allowed too': () => ({ tid: FABRIKAM }),
    'the issuer of another tenant, which is allowed too': entra => ({ iss: entra.issuerOf(FABRIKAM) }),
    'the placeholder': entra => ({ tid: '{tenantid}', iss: entra.template }),
    'the address of all tenants as issuer': entra => ({ tid: 'organizations', iss: entra.provider.issuer }),
    'a tid with a slash': entra => ({ tid: `${CONTOSO}/x`, iss: entra.issuerOf(`${CONTOSO}/x`) }),
    'a tid that climbs': entra => ({ tid: `../${CONTOSO}`, iss: entra.issuerOf(`../${CONTOSO}`) }),
    'a tid in upper case': entra => ({ tid: CONTOSO.toUpperCase(), iss: entra.issuerOf(CONTOSO.toUpperCase()) }),
    'a tid with a letter that looks like another': entra => ({
      tid: CONTOSO.replace('a', '\u0430'),
      iss: entra.issuerOf(CONTOSO.replace('a', '\u0430')),
    }),
    'a tid with a line break at its end': entra => ({ tid: `${CONTOSO}\n`, iss: entra.issuerOf(`${CONTOSO}\n`) }),
    'a tid that is a list': () => ({ tid: [CONTOSO] }),
    'an issuer with more behind it': entra => ({ iss: `${entra.issuerOf(CONTOSO)}/` }),
    'an issuer of another host': () => ({ iss: `https://evil.example/${CONTOSO}/v2.0` }),
  }
  test('an ID Token whose tid and issuer do not belong together is refused', async () => {
    const asked: string[] = []
    for (const [what, claims] of Object.entries(bent)) {
      for (const tenants of [[CONTOSO, FABRIKAM], (tenant: string) => asked.push(tenant) > 0])
        await withEntra({ tenants }, async setting => {
          setting.entra.signsIn(CONTOSO, claims(setting.entra))
          await open(setting)
          assert.equal(setting.site.lastCode(), 'ERR_OIDC_ID_TOKEN_ISSUER', what)
        })
    }
    assert.deepEqual(asked, [])
  })

  test('a key of one tenant signs for that tenant only, and one of all for each', async () => {
    const keys: readonly [of: (entra: EntraId) => string | undefined, works: boolean][] = [
      [entra => entra.template, true],
      [entra => entra.issuerOf(CONTOSO), true],
      [() => undefined, true],
      [entra => entra.issuerOf(FABRIKAM), false],
      [() => 'https://evil.example/', false],
    ]
    for (const [of, works] of keys)
      await withEntra({ tenants: [CONTOSO, FABRIKAM] }, async setting => {
        setting.entra.keysAreOf(of(setting.entra))
        const page = await open(setting)
        assert.equal(page.status === 200, works, page.text)
        if (!works) assert.equal(setting.site.lastCode(), 'ERR_OIDC_ID_TOKEN_KEY')
      })
  })

  test('a refresh keeps the tenant: tokens of another one end the session', () =>
    withEntra({ tenants: [CONTOSO, FABRIKAM] }, async setting => {
      const agent = createAgent()
      await open(setting, agent)
      assert.deepEqual((await agent.fetch(`${setting.site.url}/fresh`)).json(), { isAuthenticated: true })
      setting.entra.signsIn(FABRIKAM)
      await agent.fetch(`${setting.site.url}/fresh`)
      assert.equal(setting.site.lastCode(), 'ERR_OIDC_REFRESH_REJECTED')
      assert.equal((await setting.site.oidc.sessions.list({ sub: 'alice-0001', tenant: CONTOSO })).length, 0)
    }))

  test('a tenant that is not allowed any more loses its session at the next refresh', async () => {
    let isAllowed = true
    await withEntra({ tenants: () => isAllowed }, async setting => {
      const agent = createAgent()
      await open(setting, agent)
      isAllowed = false
      await agent.fetch(`${setting.site.url}/fresh`)
      assert.equal(setting.site.lastCode(), 'ERR_OIDC_REFRESH_REJECTED')
    })
  })

  test('a tenant that was taken off the list is signed out at the next start of the site', async () => {
    const redis = await startRedis()
    const shared = { redis: redis.url, secret: secret('session secret') }
    const entra = await startEntraId()
    const { issuer, clientId, clientSecret } = entra.provider
    const oidc = { issuer, clientId, clientSecret, ...shared }
    const agent = createAgent()
    try {
      const first = await startSite({ oidc: { ...oidc, tenants: [CONTOSO] } })
      await agent.visit(`${first.url}/claims`)
      const { port } = new URL(first.url)
      await first.close()
      for (const [tenants, isAuthenticated] of [
        [[CONTOSO, FABRIKAM], true],
        [[FABRIKAM], false],
      ] as const) {
        const next = await startSite({ port: Number(port), oidc: { ...oidc, tenants } })
        const user = (await agent.fetch(`${next.url}/user`)).json<{ isAuthenticated: boolean }>()
        await next.close()
        assert.equal(user.isAuthenticated, isAuthenticated)
      }
    } finally {
      await entra.provider.close()
      await redis.stop()
    }
  })
})

describe('userinfo of many tenants', () => {
  const asTenant = (setting: Setting, tenant: string, iss: unknown = setting.entra.issuerOf(tenant)) =>
    setting.entra.provider.break({ signedUserInfo: claims => ({ ...claims, iss }) })

  for (const responseType of ['code', 'code id_token'] as const)
    test(`that is signed has the issuer of the tenant of the user, or none (${responseType})`, () =>
      withEntra({ tenants: [CONTOSO, FABRIKAM], responseType }, async setting => {
        asTenant(setting, CONTOSO)
        assert.equal((await open(setting)).json<Claims>().name, 'Alice Adams')
        asTenant(setting, CONTOSO, null)
        assert.equal((await open(setting)).json<Claims>().name, 'Alice Adams')
      }))

  test('that is signed for another tenant is that of another user, even with the same sub, whether the site lists it or not', async () => {
    for (const tenants of [[CONTOSO, FABRIKAM], [CONTOSO], () => true])
      await withEntra({ tenants }, async setting => {
        asTenant(setting, FABRIKAM)
        await refuses(setting, 'ERR_OIDC_USER_INFO_SUBJECT')
      })
  })

  test('that is signed with an issuer that is none of a tenant is refused', () =>
    withEntra({ tenants: [CONTOSO, FABRIKAM] }, async setting => {
      const { entra } = setting
      const odd = ['https://evil.example/', `${entra.issuerOf(CONTOSO)}/`, [entra.issuerOf(CONTOSO)], 1]
      for (const iss of odd) {
        asTenant(setting, CONTOSO, iss)
        await refuses(setting, 'ERR_OIDC_USER_INFO_RESPONSE')
      }
      for (const iss of [entra.template, entra.provider.issuer]) {
        asTenant(setting, CONTOSO, iss)
        await refuses(setting, iss === entra.template ? 'ERR_OIDC_USER_INFO_SUBJECT' : 'ERR_OIDC_USER_INFO_RESPONSE')
      }
    }))

  test('that is not signed, and names another tenant, is refused as well, at the sign-in and later', () =>
    withEntra({ tenants: [CONTOSO, FABRIKAM], userInfo: false }, async setting => {
      const { entra, site } = setting
      const agent = createAgent()
      await open(setting, agent)
      const said = async (tenant: string, query = '') => {
        entra.provider.break({ userInfoClaims: claims => ({ ...claims, iss: entra.issuerOf(tenant) }) })
        return (await agent.fetch(`${site.url}/info${query}`)).status
      }
      assert.deepEqual([await said(CONTOSO), await said(CONTOSO, '?refresh=1')], [200, 200])
      for (const query of ['', '?refresh=1']) {
        assert.equal(await said(FABRIKAM, query), 502)
        assert.equal(site.lastCode(), 'ERR_OIDC_USER_INFO_SUBJECT')
      }
    }))
})

describe('sign-outs of many tenants', () => {
  const backChannel = async ({ site, entra }: Setting, claims: Claims) => {
    const token = await entra.provider.createLogoutToken(claims)
    const body = new URLSearchParams({ logout_token: token })
    return (await fetch(`${site.url}/logout/backchannel`, { method: 'POST', body })).status
  }
  const count = async ({ site }: Setting) =>
    (await site.oidc.sessions.list({ sub: 'alice-0001', tenant: CONTOSO })).length

  test('a logout token ends sessions of its own tenant only', () =>
    withEntra({ tenants: [CONTOSO, FABRIKAM] }, async setting => {
      const { entra } = setting
      await open(setting)
      const [own, other] = [entra.issuerOf(CONTOSO), entra.issuerOf(FABRIKAM)]
      assert.equal(await backChannel(setting, { iss: entra.provider.issuer }), 400)
      assert.equal(await backChannel(setting, { iss: entra.template }), 400)
      assert.equal(await backChannel(setting, { iss: own, tid: FABRIKAM }), 400)
      assert.equal(await backChannel(setting, { iss: other }), 200)
      assert.equal(await count(setting), 1)
      assert.equal(await backChannel(setting, { iss: own }), 200)
      assert.equal(await count(setting), 0)
    }))

  test('a front-channel logout names its tenant, or means each that is listed', async () => {
    const frame = async ({ site }: Setting, fields: Record<string, string>) =>
      (await fetch(`${site.url}/logout/frontchannel?${new URLSearchParams(fields)}`)).status
    await withEntra({ tenants: [FABRIKAM, CONTOSO] }, async setting => {
      await open(setting)
      assert.equal(await frame(setting, { iss: setting.entra.template, sid: 'sid-1' }), 400)
      assert.equal(await frame(setting, { iss: setting.entra.issuerOf(FABRIKAM), sid: 'sid-1' }), 200)
      assert.equal(await count(setting), 1)
      assert.equal(await frame(setting, { sid: 'sid-1' }), 200)
      assert.equal(await count(setting), 0)
    })
    await withEntra({ tenants: () => true }, async setting => {
      await open(setting)
      assert.equal(await frame(setting, { sid: 'sid-1' }), 400)
      assert.equal(await frame(setting, { iss: setting.entra.issuerOf(CONTOSO), sid: 'sid-1' }), 200)
      assert.equal(await count(setting), 0)
    })
  })
})

describe('beside another provider', () => {
  test('it is one of several, with tenants of its own', async () => {
    const entra = await startEntraId('common')
    const { issuer, clientId, clientSecret } = entra.provider
    const other = { issuer: 'https://login.other.example', clientId, clientSecret }
    const site = await startSite({
      oidc: { providers: { entra: { issuer, clientId, clientSecret, tenants: [CONTOSO] }, other } },
    })
    try {
      const agent = createAgent()
      await agent.visit(`${site.url}/login/entra?returnTo=/user`)
      assert.equal((await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, true)
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001', tenant: CONTOSO, provider: 'entra' })).length, 1)
      await assert.rejects(site.oidc.sessions.list({ sub: 'a', provider: 'entra' }), /tenant is missing/)
      await assert.rejects(site.oidc.sessions.list({ sub: 'a', tenant: CONTOSO, provider: 'other' }), /left out/)
      await assert.rejects(site.oidc.sessions.list({ sub: 'a', tenant: 'x', provider: 'entra' }), /GUID/)
    } finally {
      await site.close()
      await entra.provider.close()
    }
  })
})

describe('the template counts nowhere else', () => {
  test('a provider that publishes it without tenants is refused, and the message says what to set', async () => {
    await withEntra({}, async setting => {
      await open(setting)
      assert.equal(setting.site.lastCode(), 'ERR_OIDC_METADATA_ISSUER')
      assert.match(String(setting.site.errors.at(-1)), /together with tenants/)
    })
  })

  test('a provider with an issuer of its own is refused where tenants are set', async () => {
    const provider = await startProvider({ issuerPath: '/common/v2.0' } as never)
    const site = await startSite({
      oidc: {
        issuer: `${new URL(provider.issuer).origin}/common/v2.0`,
        metadataUrl: `${provider.issuer}/.well-known/openid-configuration`,
        clientId: provider.clientId,
        clientSecret: provider.clientSecret,
        tenants: [CONTOSO],
      },
    })
    try {
      await assert.rejects(site.oidc.ready(), { code: 'ERR_OIDC_METADATA_ISSUER' })
    } finally {
      await site.close()
      await provider.close()
    }
  })

  const common = 'https://login.microsoftonline.com/common/v2.0'
  const options = {
    issuer: common,
    clientId: 'client',
    clientSecret: secret('client secret'),
    baseUrl: 'http://localhost:3000',
    secret: secret('session secret'),
    log: () => {},
  } as const
  const mistakes: readonly [OidcOptions, RegExp][] = [
    [{}, /set tenants/],
    [{ issuer: 'https://login.microsoftonline.us/organizations/v2.0' }, /set tenants/],
    [{ tenants: [] }, /tenants must be/],
    [{ tenants: ['*'] }, /GUID in lower case/],
    [{ tenants: [CONTOSO.toUpperCase()] }, /GUID in lower case/],
    [{ tenants: true as never }, /tenants must be/],
    [{ issuer: 'https://login.example', tenants: [CONTOSO] }, /an issuer of many tenants/],
    [{ issuer: 'https://login.example/common/common', tenants: [CONTOSO] }, /an issuer of many tenants/],
    [{ tenants: [CONTOSO], responseMode: 'form_post.jwt' }, /need one issuer/],
    [{ tenants: [CONTOSO], routes: { signals: '/signals' } }, /need one issuer/],
    [{ tenants: [CONTOSO], routes: { revocation: '/revoke' } }, /need one issuer/],
    [
      { tenants: [CONTOSO], clientSecret: 'x'.repeat(32), clientAuthentication: { method: 'client_secret_jwt' } },
      /clientAuthentication.audience/,
    ],
  ]
  test('mistakes are refused at the start', () => {
    for (const [mistake, message] of mistakes)
      assert.throws(() => openIdConnect({ ...options, ...mistake }), { code: 'ERR_OIDC_OPTIONS', message })
  })

  test('without tenants no sub is looked up in one', async () => {
    const oidc: OpenIdConnect = openIdConnect({ ...options, issuer: 'https://login.example' })
    await assert.rejects(oidc.sessions.list({ sub: 'a', tenant: CONTOSO }), /tenant must be left out/)
    await oidc.close()
  })
})
