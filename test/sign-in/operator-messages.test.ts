import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OidcError, requiresScope } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'
import { deny } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { startSite } from '../support/site.js'

const bare = { site: { handlesErrors: false } }
const seconds = () => Math.floor(Date.now() / 1000)

function lastLine({ site }: Fixture): string {
  return site.log.at(-1) ?? ''
}

describe('the log says what an operator can do', () => {
  for (const name of ['require_pushed_authorization_requests', 'require_signed_request_object']) {
    test(
      `about ${name}: no user is sent to the provider, and ready() fails`,
      withFixture(
        { ...bare, oidc: { pushedAuthorization: false }, provider: { metadata: { [name]: true } } },
        async fixture => {
          const { site, provider, agent } = fixture
          await assert.rejects(site.oidc.ready(), { code: 'ERR_OIDC_UNSUPPORTED' })
          const page = await agent.open(`${site.url}/claims`)
          assert.equal(page.status, 502)
          assert.doesNotMatch(page.text, /pushed|request object|require_/)
          assert.equal(provider.count('authorize'), 0)
          assert.match(lastLine(fixture), new RegExp(`ERR_OIDC_UNSUPPORTED.*switch ${name} off`))
        },
      ),
    )
  }

  test(
    'about an issuer that differs by a slash, when the site starts',
    withFixture({ ...bare, provider: { issuerPath: '/tenant/' } }, async ({ provider }) => {
      const { issuer, clientId, clientSecret } = provider
      const site = await startSite({ oidc: { issuer: issuer.slice(0, -1), clientId, clientSecret } })
      try {
        await assert.rejects(site.oidc.ready(), { code: 'ERR_OIDC_METADATA_ISSUER' })
        const line = site.log.find(text => text.includes('not ready')) ?? ''
        assert.ok(line.includes(`'${issuer}'`) && line.includes(`'${issuer.slice(0, -1)}'`), line)
        assert.ok(line.includes(`set issuer to '${issuer}'`), line)
      } finally {
        await site.close()
      }
    }),
  )

  test(
    'about a callback that is opened with GET: the response mode',
    withFixture(bare, async fixture => {
      const { site } = fixture
      const response = await send({ url: `${site.url}/callback?code=x&state=y`, headers: { accept: 'text/html' } })
      assert.equal(response.status, 405)
      assert.match(lastLine(fixture), /ERR_OIDC_REQUEST_METHOD.*responseMode: 'query'/)
      assert.ok(!response.text.includes('responseMode'))
    }),
  )

  for (const [what, claims, says] of [
    ['iat ahead', () => ({ iat: seconds() + 290 }), /ISSUED_AT.*iat is (289|290) seconds ahead.*this clock is slow/],
    ['iat behind', () => ({ iat: seconds() - 4000 }), /ISSUED_AT.*iat is 400[01] seconds behind.*this clock is fast/],
    ['exp behind', () => ({ exp: seconds() - 100 }), /EXPIRED.*exp is 10[01] seconds behind.*this clock is fast/],
    ['nbf ahead', () => ({ nbf: seconds() + 100 }), /NOT_BEFORE.*nbf is (99|100) seconds ahead.*this clock is slow/],
    ['iat that is no time', () => ({ iat: 'today' }), /ISSUED_AT.*iat is not a time/],
  ] as const) {
    test(
      `about an ID Token with ${what}: which clock is off, and by how much`,
      withFixture(bare, async fixture => {
        fixture.provider.break({ frontIdToken: token => ({ ...token, ...claims() }) })
        assert.equal((await fixture.agent.visit(`${fixture.site.url}/claims`)).status, 400)
        assert.match(lastLine(fixture), says)
      }),
    )
  }

  for (const error of ['unauthorized_client', 'unsupported_response_type']) {
    for (const [responseType, advice] of [
      ['id_token code', /'code id_token': allow it for this client .*, or set responseType: 'code'$/],
      ['id_token token code', /'code id_token token': allow it .*, or set responseType: 'code'$/],
      ['code', /'code': allow it for this client at the provider$/],
    ] as const) {
      for (const handlesErrors of [true, false]) {
        test(
          `about ${error} for ${responseType}: what to switch on or to set${handlesErrors ? ', beside an error page of the site' : ''}`,
          withFixture({ site: { handlesErrors }, oidc: { responseType } }, async fixture => {
            fixture.provider.break({ response: deny(error) })
            const page = await fixture.agent.visit(`${fixture.site.url}/claims`)
            assert.equal(page.status, 400)
            assert.ok(!page.text.includes('responseType'), page.text)
            assert.match(lastLine(fixture).replace(/ \(\{.*/, ''), advice)
          }),
        )
      }
    }
  }

  const jwe = 'eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a2V5.aXY.Y2lwaGVydGV4dA.dGFn'
  test(
    'about encrypted userinfo and an encrypted ID Token: what they are, and the setting at the provider',
    withFixture(bare, async fixture => {
      const { provider, site } = fixture
      provider.break({ userinfo: { body: jwe, contentType: 'application/jwt' } })
      assert.equal((await createAgent().visit(`${site.url}/claims`)).status, 502)
      assert.match(lastLine(fixture), /USER_INFO_RESPONSE.*is encrypted.*userinfo_encrypted_response_alg/)
      provider.heal()
      provider.break({ frontIdToken: { token: () => jwe } })
      assert.equal((await createAgent().visit(`${site.url}/claims`)).status, 400)
      assert.match(lastLine(fixture), /ID_TOKEN_MALFORMED.*it is encrypted.*at the provider/)
    }),
  )
})

describe('what the provider says about a sign-in', () => {
  const said = {
    error_description: 'AADB2C90118: The user has forgotten their password.',
    error_uri: 'https://op.example/errors/90118',
  }

  test(
    "is there for the site's own error handler, and in the log once",
    withFixture({}, async ({ site, provider, agent }) => {
      provider.break({ response: deny('access_denied', said) })
      const page = await agent.visit(`${site.url}/claims`)
      assert.equal(page.status, 403)
      const error = site.errors.at(-1)
      assert.ok(error instanceof OidcError)
      assert.deepEqual(error.providerError, { error: 'access_denied', ...said })
      assert.ok(!error.message.includes('AADB2C'), 'in the message')
      assert.equal(site.log.filter(line => line.includes('AADB2C90118')).length, 1)
    }),
  )

  test(
    'is no line in the log where the site asked for a response without a page',
    withFixture({ oidc: { authorizationParams: { prompt: 'none' } } }, async ({ site, provider, agent }) => {
      for (const error of [
        'login_required',
        'interaction_required',
        'consent_required',
        'account_selection_required',
      ]) {
        provider.break({ response: deny(error, said) })
        assert.equal((await agent.visit(`${site.url}/claims`)).status, 400)
      }
      assert.deepEqual(
        site.log.filter(line => line.includes('refused') || line.includes('ERR_OIDC_')),
        [],
      )
    }),
  )

  const routes = (app: Fixture['site']['app']) =>
    app.get('/more', requiresScope('write', { ask: true }), (_req, res) => void res.send('more'))
  for (const isSignedIn of [true, false]) {
    test(
      `about a scope that a page asked for is 403, signed in before: ${isSignedIn}`,
      withFixture({ site: { routes } }, async ({ site, provider, agent }) => {
        if (isSignedIn) await agent.visit(`${site.url}/claims`)
        provider.break({ response: deny('invalid_scope', { error_description: 'write is not allowed' }) })
        const page = await agent.visit(`${site.url}/more`)
        assert.equal(page.status, 403)
        assert.equal(site.lastCode(), 'ERR_OIDC_SCOPE_REQUIRED')
        assert.match(String(site.errors.at(-1)), /"write" was requested/)
        assert.match(site.log.join('\n'), /invalid_scope "write is not allowed"/)
      }),
    )
  }

  test(
    'about a scope of the options is an error of the set-up, not of the user',
    withFixture({}, async ({ site, provider, agent }) => {
      provider.break({ response: deny('invalid_scope') })
      assert.equal((await agent.visit(`${site.url}/claims`)).status, 400)
      assert.equal(site.lastCode(), 'ERR_OIDC_AUTHORIZATION_FAILED')
    }),
  )
})
