import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import { EmbeddedJWK, importJWK, type JWK, jwtVerify } from 'jose'
import type { BrowserContext, Page } from 'playwright-core'
import { type OidcOptions, requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { freePort } from '../support/nginx.js'
import { startTlsFront, type TlsFront } from '../support/tls-front.js'

/**
 * Device Bound Session Credentials in the real browser, with keys in software. What Chromium does depends on flags that change: where it
 * does not register a key, every test here fails and says so.
 */

const FLAGS = [
  'DeviceBoundSessions:RequireOriginTrialTokens/false/RefreshQuota/false/CheckSubdomainRegistration/false',
  'EnableBoundSessionCredentialsSoftwareKeysForManualTesting',
]

/** A request of the browser, with what it says about its device. */
interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly status: number
  readonly names: readonly string[]
}

interface Place extends Fixture {
  readonly front: TlsFront
  readonly url: string
  readonly clock: { ahead: number }
  readonly requests: Seen[]
  readonly context: BrowserContext
  readonly tab: Page
  newContext(): Promise<BrowserContext>
  /** Signs in, and waits until the key is registered. */
  signIn(): Promise<void>
  to(path: string): Seen[]
}

let port: number
let front: TlsFront
let chromium: Chromium

before(async () => {
  port = await freePort()
  front = await startTlsFront(port)
  chromium = await startChromium({
    args: [`--enable-features=${FLAGS.join()}`, `--ignore-certificate-errors-spki-list=${front.fingerprint}`],
  })
})
after(async () => {
  await chromium?.close()
  await front?.close()
})

function inChromium(
  { path = '', oidc = {} }: { path?: string; oidc?: OidcOptions },
  run: (place: Place) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const clock = { ahead: 0 }
    const now = () => Date.now() + clock.ahead * 1000
    const requests: Seen[] = []
    const fixture = await openFixture({
      oidc: {
        baseUrl: front.url + path,
        session: { deviceBound: 'required' },
        now: () => new Date(now()),
        ...oidc,
      },
      provider: { now: () => Math.floor(now() / 1000) },
      site: { port, before: app => watch(app, requests, path), routes },
    })
    const contexts: BrowserContext[] = []
    const newContext = async () => {
      const context = await chromium.newContext()
      contexts.push(context)
      return context
    }
    try {
      const context = await newContext()
      const tab = await context.newPage()
      const to = (wanted: string) => requests.filter(request => request.path === wanted)
      await run({
        ...fixture,
        front,
        url: front.url + path,
        clock,
        requests,
        context,
        tab,
        newContext,
        to,
        async signIn() {
          // The page waits until the key is there.
          await tab.goto(`${front.url}${path}/strict`)
          await tab
            .getByText('Proved by the key')
            .waitFor({ timeout: 20_000 })
            .catch(() => {})
          assert.equal(to('/session/device').length, 1, 'Chromium has registered no key: its flags may have changed')
        },
      })
    } finally {
      for (const context of contexts) await context.close()
      await fixture.close()
    }
  }
}

function watch(app: Express, requests: Seen[], path: string): void {
  app.use((req, res, next) => {
    const names = (req.headers.cookie ?? '').split('; ').map(pair => pair.split('=')[0] ?? '')
    // As a proxy that serves the site below a path.
    if (path !== '' && req.url.startsWith(path)) req.url = req.url.slice(path.length) || '/'
    const [own = ''] = req.url.split('?')
    res.on('finish', () => {
      requests.push({ method: req.method, path: own, headers: req.headers, status: res.statusCode, names })
    })
    next()
  })
}

function routes(app: Express): void {
  app.get('/strict', requiresAuth({ deviceBound: true }), (_req, res) => void res.send('Proved by the key'))
  app.get('/form', requiresAuth(), (_req, res) => {
    res.send('<form method="post" action="posted"><input name="note" value="kept"><button>Send</button></form>')
  })
  app.post('/posted', requiresAuth(), (req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => res.send(`posted ${Buffer.concat(chunks)}`))
  })
}

const isProof = (name: string) => name.startsWith('__Host-sid.device.')

/** What happens when its `Max-Age` is over. */
async function expireProof({ context, clock }: Place): Promise<void> {
  clock.ahead += 700
  await context.clearCookies({ name: /^__Host-sid\.device\./ })
}

async function copyCookies(place: Place, isCopied: (name: string) => boolean): Promise<Page> {
  const other = await place.newContext()
  await other.addCookies((await place.context.cookies()).filter(({ name }) => isCopied(name)))
  return other.newPage()
}

const isSignedIn = async (tab: Page, url: string) => {
  await tab.goto(`${url}/user`)
  return (await tab.content()).includes('"isAuthenticated":true')
}

describe('in Chromium', { timeout: 240_000 }, () => {
  test(
    'a key is registered after the sign-in, without a session cookie, and proves itself at a refresh',
    inChromium({}, async place => {
      const { to, tab, url } = place
      await place.signIn()
      const [registration] = to('/session/device')
      const token = String(registration?.headers['secure-session-response'])
      const { payload, protectedHeader } = await jwtVerify(token, EmbeddedJWK, { typ: 'dbsc+jwt' })
      assert.deepEqual(Object.keys(payload), ['jti'])
      assert.ok(!registration?.names.includes('__Host-sid'), 'the initiator is the page of the provider')
      assert.equal(registration?.headers['sec-fetch-site'], 'same-origin')
      await expireProof(place)
      await tab.goto(`${url}/claims`)
      const [, asked, proved] = to('/session/device')
      assert.deepEqual([asked?.status, proved?.status], [403, 200])
      const key = await importJWK(protectedHeader.jwk as JWK, protectedHeader.alg)
      const again = await jwtVerify(String(proved?.headers['secure-session-response']), key, { typ: 'dbsc+jwt' })
      assert.equal(again.protectedHeader.jwk, undefined)
      assert.equal(proved?.headers['sec-secure-session-id'], asked?.headers['sec-secure-session-id'])
      const pages = to('/claims')
      assert.deepEqual(
        pages.map(({ status }) => status),
        [200],
      )
      assert.ok(pages[0]?.names.some(isProof), 'the request has waited for its new cookie')
    }),
  )

  test(
    'a form that is posted after the proof has expired arrives whole',
    inChromium({}, async place => {
      const { tab, url } = place
      await place.signIn()
      await tab.goto(`${url}/form`)
      await expireProof(place)
      await tab.getByRole('button').click()
      await tab.getByText('posted note=kept').waitFor()
    }),
  )

  test(
    'a copied session cookie is worth nothing in another browser, and its owner stays signed in',
    inChromium({}, async place => {
      const { clock, url, tab } = place
      await place.signIn()
      const other = await copyCookies(place, name => name === '__Host-sid')
      clock.ahead += 31
      assert.equal(await isSignedIn(other, url), false)
      assert.equal(await isSignedIn(tab, url), true)
    }),
  )

  test(
    'all copied cookies are worth ten minutes',
    inChromium({}, async place => {
      const { clock, url, tab } = place
      await place.signIn()
      const other = await copyCookies(place, () => true)
      assert.equal(await isSignedIn(other, url), true)
      clock.ahead += 631
      assert.equal(await isSignedIn(other, url), false)
      await place.context.clearCookies({ name: /^__Host-sid\.device\./ })
      assert.equal(await isSignedIn(tab, url), true)
    }),
  )

  test(
    'a link of another site gets the page, by way of one that loads itself',
    inChromium({}, async place => {
      const { tab, url, to } = place
      await place.signIn()
      await expireProof(place)
      await tab.goto(`http://127.0.0.1:${port}/`)
      await tab.evaluate(`location.href = ${JSON.stringify(`${url}/claims`)}`)
      await tab.waitForURL(`${url}/claims`)
      await tab.getByText('alice-0001').waitFor()
      assert.deepEqual(
        to('/claims').map(({ status }) => status),
        [401, 200],
      )
      assert.equal(place.provider.count('authorize'), 1)
    }),
  )

  test(
    'a sign-out stays: the browser forgets the key, and no cookie comes back',
    inChromium({}, async place => {
      const { tab, url, to } = place
      await place.signIn()
      await tab.goto(`${url}/logout?local=1`)
      await expireProof(place)
      assert.equal(await isSignedIn(tab, url), false)
      const attempts = to('/session/device').slice(1)
      assert.deepEqual(
        attempts.map(({ status }) => status),
        [200],
        'it is told once that the session has ended',
      )
      assert.equal(await isSignedIn(tab, url), false)
      assert.equal(to('/session/device').length, 2)
      assert.deepEqual(
        (await place.context.cookies()).filter(({ name }) => isProof(name)),
        [],
      )
    }),
  )

  test(
    'a site below a path is guarded there, and not beside it',
    inChromium({ path: '/app' }, async place => {
      const { tab, url, to } = place
      await place.signIn()
      await expireProof(place)
      await tab.goto(`${front.url}/`)
      assert.equal(to('/session/device').length, 1)
      await tab.goto(`${url}/claims`)
      assert.deepEqual(
        to('/session/device').map(({ status }) => status),
        [200, 403, 200],
      )
      assert.equal(to('/claims').at(-1)?.status, 200)
    }),
  )
})
