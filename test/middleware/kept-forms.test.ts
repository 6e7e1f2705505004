import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import express from 'express'
import { OidcError, type OidcOptions, openIdConnect, requiresAuth, requiresSameSession } from '../../lib/index.js'
import { createAgent, DAY, isKeptFormPage, isUnsentPage, MINUTE, withFormFixture } from '../support/kept-form.js'
import { secret } from '../support/secrets.js'

const WEEK = 7 * DAY
const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob-0002' })
const bob = { frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob }
const pairs = (body = '') => [...new URLSearchParams(body)]

for (const version of [4, 5] as const) {
  describe(`a form whose session has expired, Express ${version}`, () => {
    test(
      'is kept, displayed after the sign-in, and sent once',
      withFormFixture({ site: { express: version } }, async ({ agent, advance, write, send, received }) => {
        await write()
        advance(WEEK)
        const fields = { title: 'Milk', text: 'two litres\r\nand <b>more</b>', empty: '' }
        const page = await send(fields, { path: '/notes/7?draft=1&amp;x=%20' })
        assert.ok(isKeptFormPage(page), page.text)
        assert.equal(received.length, 0, 'nothing is sent by itself')
        assert.match(page.text, /<code>\/notes\/7\?draft=1&#38;amp;x=%20<\/code>/)
        const text = /<dt><bdi>text<\/bdi><\/dt>\n<dd dir="auto">two litres\r\nand &#60;b&#62;more&#60;\/b&#62;<\/dd>/
        assert.match(page.text, text)
        assert.match(page.text, /<dd dir="auto">\(empty\)<\/dd>/)
        const sent = await agent.submitForm()
        assert.match(sent.text, /saved/)
        assert.equal(received.length, 1)
        const only = received.at(0)
        assert.deepEqual(pairs(only?.body), Object.entries(fields))
        assert.equal(only?.sub, 'alice-0001')
        assert.equal(only?.address, '/notes/7?draft=1&amp;x=%20', 'what was added is hidden')
        const again = await agent.post(page.forms[0]?.action ?? '', only?.body ?? '', { from: page.url })
        assert.equal(again.status, 410)
        assert.ok(isUnsentPage(again))
        const back = await agent.open(page.url)
        assert.equal(back.status, 410, 'the back button')
        assert.doesNotMatch(back.text, /Milk/)
        assert.equal(received.length, 1)
      }),
    )
  })
}

describe('the page of a kept form', () => {
  test(
    'changes nothing, so that it can be loaded again',
    withFormFixture({}, async ({ agent, advance, write, send, received }) => {
      await write()
      advance(WEEK)
      const page = await send()
      assert.ok(isKeptFormPage(await agent.open(page.url)))
      assert.ok(isKeptFormPage(await agent.open(page.url)))
      await agent.submitForm()
      assert.equal(received.length, 1)
    }),
  )

  test(
    'is not stored, not framed, and runs no script; its form goes to this site',
    withFormFixture({}, async ({ advance, write, send }) => {
      await write()
      advance(WEEK)
      const { headers } = await send()
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['x-frame-options'], 'DENY')
      assert.equal(headers['referrer-policy'], 'same-origin')
      const policy = String(headers['content-security-policy'])
      assert.match(
        policy,
        /^default-src 'none'; style-src 'sha256-[^;]+; base-uri 'none'; form-action 'self'; frame-ancestors 'none'$/,
      )
    }),
  )

  test(
    'does not display what looks like a secret, and sends it',
    withFormFixture({}, async ({ agent, advance, write, send, received }) => {
      await write()
      advance(WEEK)
      const secrets = [
        'password',
        'newPassword',
        'user[pin]',
        '_csrf',
        'kennwort',
        'Passwort2',
        'mot_de_passe',
        'contraseña',
        'CVC',
        'api-token',
      ]
      const others = ['shipping', 'passenger', 'spin', 'tokens', 'opinion']
      const fields = Object.fromEntries([...secrets, ...others].map(name => [name, `value-of-${name}-0815`]))
      const { text } = await send(fields)
      const [list = ''] = /<dl>[\s\S]*<\/dl>/.exec(text) ?? []
      for (const name of secrets) assert.ok(!list.includes(`value-of-${name}-0815`), name)
      for (const name of others) assert.ok(list.includes(`value-of-${name}-0815`), name)
      assert.equal(list.match(/\(not displayed\)/g)?.length, secrets.length)
      await agent.submitForm()
      assert.deepEqual(pairs(received[0]?.body), Object.entries(fields))
    }),
  )

  test(
    'says where the form was, and leads there without sending it',
    withFormFixture({}, async ({ agent, advance, write, send, received, site }) => {
      await write()
      advance(WEEK)
      const { text } = await send()
      assert.match(text, /<a href="\/notes\/new">Do not send it<\/a>/)
      await write(agent)
      assert.deepEqual(received, [])
      advance(WEEK)
      const named = await send({ title: 'x', returnTo: '/claims' })
      assert.match(named.text, /<a href="\/claims">Do not send it<\/a>/)
      await agent.open(`${site.url}/notes/new`)
    }),
  )

  test(
    'is made by the site, in the language of the browser, with fields that are safe',
    withFormFixture(
      {
        oidc: {
          pages: {
            languages: ['en', 'de'],
            keptForm: page => JSON.stringify(page),
            unsentForm: page => JSON.stringify(page),
          },
        },
      },
      async ({ agent, advance, write, send }) => {
        await write()
        advance(WEEK)
        const headers = { 'accept-language': 'de' }
        const first = await send({ 'a"><script>': '"><script>alert(1)</script>' })
        const content = JSON.parse(first.text)
        assert.deepEqual(content.fields, [{ name: 'a"><script>', text: '"><script>alert(1)</script>' }])
        assert.equal(
          content.form.inputs,
          '<input type="hidden" name="a&#34;&#62;&#60;script&#62;" value="&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;">',
        )
        assert.equal(content.form.encoding, 'application/x-www-form-urlencoded')
        assert.equal(content.address, '/notes')
        const german = JSON.parse((await agent.open(first.url, { headers })).text)
        assert.deepEqual([german.language, german.title, german.form.button], ['de', 'Jetzt absenden?', 'Absenden'])
        const gone = JSON.parse((await agent.open(`${first.url}x`, { headers })).text)
        assert.deepEqual([gone.title, gone.reason], ['Nicht gesendet', 'gone'])
      },
    ),
  )

  test(
    'of a user who is signed out meanwhile asks for a sign-in, and is still there',
    withFormFixture({}, async ({ agent, advance, write, send, received, site }) => {
      await write()
      advance(WEEK)
      const page = await send()
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      const again = await agent.visit(page.url)
      assert.ok(isKeptFormPage(again), again.text)
      await agent.submitForm()
      assert.equal(received.length, 1)
      assert.equal((await agent.fetch(page.url, { headers: { accept: '*/*' } })).status, 410)
    }),
  )
})

describe('multipart forms', () => {
  const boundary = '----WebKitFormBoundary7MA4YWxkTrZu0gW'
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` }
  const part = (head: string, value: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`
  const end = `--${boundary}--\r\n`

  test(
    'are kept with their fields, and sent as such',
    withFormFixture({}, async ({ advance, write, send }) => {
      await write()
      advance(WEEK)
      const empty = `--${boundary}\r\nContent-Disposition: form-data; name="photo"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n`
      const page = await send(part('name="title"', 'Milch ü') + empty + end, { headers })
      assert.ok(isKeptFormPage(page), page.text)
      assert.match(page.text, /enctype="multipart\/form-data"/)
      assert.match(page.text, /<input type="file" name="photo" hidden>/)
      assert.deepEqual(page.forms[0]?.fields[0], ['title', 'Milch ü'])
    }),
  )

  test(
    'with a file are not kept, and the page says so',
    withFormFixture({}, async ({ advance, write, send, received }) => {
      await write()
      advance(WEEK)
      const file = `--${boundary}\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nPNG\r\n`
      const page = await send(part('name="title"', 'Milk') + file + end, { headers })
      assert.ok(isUnsentPage(page))
      assert.match(page.text, /files are not kept/)
      assert.match(page.text, /<a href="\/notes\/new">Back to the page<\/a>/)
      assert.equal(page.status, 200)
      assert.deepEqual(received, [])
    }),
  )
})

describe('a body parser before the guard', () => {
  for (const extended of [true, false]) {
    test(
      `for urlencoded forms is no obstacle (extended: ${extended})`,
      withFormFixture(
        { parser: express.urlencoded({ extended }) },
        async ({ agent, advance, write, send, received }) => {
          await write()
          advance(WEEK)
          const page = await send('a=1&a=2&list[]=x&user[name]=Ann')
          assert.ok(isKeptFormPage(page), page.text)
          await agent.submitForm()
          const expected = extended
            ? { a: ['1', '2'], list: ['x'], user: { name: 'Ann' } }
            : { a: ['1', '2'], 'list[]': 'x', 'user[name]': 'Ann' }
          assert.deepEqual(JSON.parse(received[0]?.body ?? ''), expected)
        },
      ),
    )
  }

  test(
    'that leaves text or bytes is none, either',
    withFormFixture({ parser: express.raw({ type: () => true }) }, async ({ advance, write, send }) => {
      await write()
      advance(WEEK)
      assert.ok(isKeptFormPage(await send()))
    }),
  )

  test(
    'that has read a multipart form may have taken files out of it: the form is not kept',
    withFormFixture(
      {
        parser: (req, _res, next) => {
          req.body = { title: 'Milk' }
          req.resume().on('end', next)
        },
      },
      async ({ advance, write, send }) => {
        await write()
        advance(WEEK)
        const headers = { 'content-type': 'multipart/form-data; boundary=b' }
        assert.ok(isUnsentPage(await send('--b--', { headers })))
      },
    ),
  )

  test(
    'that has consumed the body keeps the form from being kept: the page says so, and so does the log',
    withFormFixture(
      { parser: (req, _res, next) => void req.resume().on('end', next) },
      async ({ advance, write, send, site }) => {
        await write()
        advance(WEEK)
        const page = await send()
        assert.ok(isUnsentPage(page))
        assert.match(page.text, /could not be kept/)
        assert.equal(site.log.filter(line => line.includes('mount that parser behind the guard')).length, 1)
      },
    ),
  )
})

describe('whose session it was', () => {
  test(
    'is not known of a visitor: nothing is kept',
    withFormFixture({}, async ({ send, received, site }) => {
      const visitor = createAgent()
      await visitor.open(`${site.url}/notes/new`)
      const page = await send({ title: 'Milk' }, { agent: visitor })
      assert.ok(isUnsentPage(page))
      assert.doesNotMatch(page.text, /Milk/)
      assert.deepEqual(received, [])
    }),
  )

  test(
    'is known for a week after its end, whenever it is asked, and whatever the hook audit was told',
    withFormFixture({ oidc: { hooks: { audit() {} } } }, async ({ agent, advance, write, send, site }) => {
      await write()
      advance(WEEK)
      await agent.fetch(`${site.url}/user`)
      await agent.fetch(`${site.url}/user`)
      advance(6 * DAY)
      assert.ok(isKeptFormPage(await send()))
      advance(15 * DAY)
      assert.ok(isUnsentPage(await send()))
    }),
  )

  test(
    'is known of a cookie that outlives the browser: it stays a week longer than its session, and leads to none',
    withFormFixture({ oidc: { session: { persistent: true } } }, async ({ advance, write, send, site, now }) => {
      const agent = createAgent({ now })
      await write(agent)
      advance(WEEK + DAY)
      assert.match((await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })).text, /"isAuthenticated":false/)
      assert.deepEqual(
        agent.cookies(site.url).map(({ name }) => name),
        ['sid'],
        'the cookie that binds the browser is gone',
      )
      assert.ok(isKeptFormPage(await send({ title: 'Milk' }, { agent, from: `${site.url}/notes/new` })))
    }),
  )

  test(
    'is known where the provider has refused to refresh its tokens',
    withFormFixture(
      {
        oidc: { scope: 'openid offline_access' },
        more: app =>
          app.get('/refresh', (req, res, next) => {
            req.oidc.accessToken({ forceRefresh: true }).then(() => res.send('refreshed'), next)
          }),
      },
      async ({ agent, write, send, provider, site, received }) => {
        await write()
        provider.revokeGrants()
        assert.equal((await agent.fetch(`${site.url}/refresh`)).status, 401)
        assert.ok(isKeptFormPage(await send()))
        await agent.submitForm()
        assert.equal(received.length, 1)
      },
    ),
  )

  test(
    'is forgotten with a sign-out, by the user or by the site',
    withFormFixture({}, async ({ agent, write, send, site, received }) => {
      await write()
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      assert.ok(isUnsentPage(await send()), 'by the site')
      await write()
      await agent.post(`${site.url}/logout?local=1`, {}, { from: `${site.url}/notes/new` })
      assert.ok(isUnsentPage(await send({ a: '1' }, { from: `${site.url}/notes/new` })), 'by the user')
      assert.deepEqual(received, [])
    }),
  )

  test(
    'and a page that was made for another session is not kept, and one of this session is sent with the new handle',
    withFormFixture(
      {
        more: app =>
          app.post(
            '/same',
            requiresAuth({ keepForm: true }),
            express.urlencoded({ extended: false }),
            requiresSameSession(),
            (req, res) => void res.send(`stored ${req.body.title}`),
          ),
      },
      async ({ agent, advance, write, send, provider }) => {
        await write()
        const [, handle = ''] = /<p>(.*)<\/p>/.exec(agent.page?.text ?? '') ?? []
        advance(WEEK)
        const page = await send({ title: 'Milk', sessionHandle: handle }, { path: '/same' })
        assert.ok(isKeptFormPage(page), page.text)
        assert.doesNotMatch(page.text, /<bdi>sessionHandle/)
        assert.equal((await agent.submitForm()).text, 'stored Milk')
        provider.break(bob)
        advance(WEEK)
        await write()
        advance(WEEK)
        const other = await send({ title: 'Milk', sessionHandle: handle }, { path: '/same' })
        assert.ok(isUnsentPage(other), 'the page of Alice, the session of Bob')
      },
    ),
  )
})

describe('a user who has to sign in again', () => {
  test(
    'because the sign-in is too long ago, sends the form afterwards',
    withFormFixture({}, async ({ agent, advance, write, send, received, site }) => {
      await write()
      advance(10 * MINUTE)
      const page = await send({ amount: '100' }, { path: '/fresh' })
      assert.ok(isKeptFormPage(page), page.text)
      await agent.submitForm()
      assert.deepEqual(
        received.map(({ address, body }) => [address, body]),
        [['/fresh', 'amount=100']],
      )
      const { text } = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
      assert.match(text, /"isAuthenticated":true/)
    }),
  )

  test(
    'and a signed-in user who need not, sends a form as ever',
    withFormFixture({}, async ({ write, send, received }) => {
      await write()
      assert.match((await send()).text, /saved/)
      assert.equal(received.length, 1)
    }),
  )
})

describe('a guard that keeps forms', () => {
  test('needs the route, and sessions of this package', async () => {
    const options: OidcOptions = {
      issuer: 'https://issuer.example',
      clientId: 'c',
      clientSecret: secret('client secret'),
      baseUrl: 'https://www.example.com',
      secret: secret('session secret'),
      log: () => {},
    }
    const oidc = openIdConnect(options)
    const isRefused = (about: RegExp) => (error: unknown) =>
      error instanceof OidcError && error.code === 'ERR_OIDC_OPTIONS' && about.test(error.message)
    assert.throws(() => oidc.requiresAuth({ keepForm: true }), isRefused(/routes\.keptForm/))
    await oidc.close()
    assert.throws(
      () => openIdConnect({ ...options, session: false, routes: { keptForm: '/form' } }),
      isRefused(/session is false/),
    )
    const kept = openIdConnect({ ...options, routes: { keptForm: '/form' } })
    kept.requiresAuth({ keepForm: true })
    await kept.close()
  })

  test(
    'that belongs to no instance says so at the first request',
    withFormFixture({ oidc: { routes: { keptForm: false } } }, async ({ send, site }) => {
      assert.equal((await send()).status, 500)
      assert.equal(site.lastCode(), 'ERR_OIDC_OPTIONS')
    }),
  )
})

test(
  'a hook replaces the fields that the form has, adds none, and sees what was sent',
  withFormFixture(
    {
      oidc: {
        hooks: {
          keptForm: ({ address, fields, req }) => ({
            _csrf: `${address} ${fields._csrf} ${String(req.oidc.user?.sub)}`,
            added: 'x',
          }),
        },
      },
    },
    async ({ agent, advance, write, send, received }) => {
      await write()
      advance(WEEK)
      await send({ title: 'Milk', _csrf: 'old' })
      await agent.submitForm()
      assert.deepEqual(pairs(received[0]?.body), [
        ['title', 'Milk'],
        ['_csrf', '/notes old alice-0001'],
      ])
    },
  ),
)
