import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import express5, { type Express } from 'express'
import session from 'express-session'
import fc from 'fast-check'
import { openIdConnect } from '../../lib/index.js'
import { scale } from '../faults/scale.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { secret } from '../support/secrets.js'
import {
  type Act,
  actOf,
  addContest,
  cookieHeader,
  type Ending,
  endings,
  laters,
  type Seen,
  type Step,
  send,
} from './like-express-session.js'

/**
 * The same programs on an app with express-session and on one with this package. What the client sees and what is stored has to be the
 * same, but for differences that are meant:
 *
 * 1. A destroyed session takes its cookie along; express-session leaves it.
 * 2. A new session that `save()` stored has its cookie, also when nothing is in it; express-session stores it and sends none.
 * 3. A new session that is first written to when the headers have left is an error; express-session stores what nothing leads to.
 * 4. A response without `Content-Length` that ends at once gets one, as without a session; express-session sends it in chunks.
 * 5. An error after the response: the response arrives whole; express-session breaks it off before its last byte.
 */

const express4 = createRequire(import.meta.url)('express4') as typeof express5
const seed = 20_261_125

interface Side {
  readonly origin: string
  readonly programs: Map<string, Act>
  readonly traces: Map<string, string[]>
  close(): Promise<void>
}

async function startSide(app: Express, mount: (app: Express, origin: string) => () => Promise<void>): Promise<Side> {
  const server = createServer(app)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`
  const programs = new Map<string, Act>()
  const traces = new Map<string, string[]>()
  const stop = mount(app, origin)
  addContest(app, programs, traces)
  // Express itself writes errors to the console unless it is told that this is a test.
  app.set('env', 'test')
  return {
    origin,
    programs,
    traces,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      await stop()
    },
  }
}

interface Outcome {
  readonly seen: readonly Seen[]
  readonly stored: unknown
}

let count = 0

/** One browser, one request after another, and what is stored at the end. */
async function play(side: Side, requests: readonly { method: string; steps: readonly Step[] }[]): Promise<Outcome> {
  const jar = new Map<string, string>()
  const seen: Seen[] = []
  for (const { method, steps } of requests) {
    count += 1
    const id = String(count)
    side.programs.set(id, actOf(steps))
    const response = await send(side.origin, method, `/act/${id}`, cookieHeader(jar, []))
    cookieHeader(jar, response.setCookies)
    // What a handler does after its response may take a moment longer than the response.
    await new Promise(resolve => setImmediate(resolve))
    seen.push({ ...response, trace: side.traces.get(id) ?? [] })
    side.programs.delete(id)
    side.traces.delete(id)
  }
  const { body } = await send(side.origin, 'GET', '/stored', cookieHeader(jar, []))
  return { seen, stored: JSON.parse(body) }
}

const framing = ['content-length', 'content-type', 'location', 'etag', 'x-of-site', 'x-late', 'last-modified'] as const

function comparable({ seen, stored }: Outcome, programs: readonly { steps: readonly Step[] }[]): unknown {
  const views = seen.map(({ status, headers, body, isBroken, trace }, at) => {
    const steps = programs[at]?.steps ?? []
    const isUnframed = steps.some(({ op }) => op === 'end' || op === 'endText' || op === 'endBytes') // 4
    const names = framing.filter(name => !isUnframed || name !== 'content-length')
    return { status, headers: names.map(name => headers[name]), body, isBroken, trace }
  })
  return { views, stored }
}

const key = fc.constantFrom('a', 'b', 'c')
const value = fc.constantFrom('1', '2')
const change: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('set', 'nest') as fc.Arbitrary<'set'>, key, value }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('delete' as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constantFrom('regenerate', 'destroy', 'save', 'reload', 'touch') as fc.Arbitrary<'touch'>,
    }),
  },
)
const later = fc.record({ op: fc.constantFrom(...laters) })

const program = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'POST', 'HEAD'),
    changes: fc.array(change, { maxLength: 4 }),
    response: fc.record({ op: fc.constantFrom(...endings) }),
    afterwards: fc.array(later, { maxLength: 2 }),
  })
  .map(({ method, changes, response, afterwards }) => {
    // Two of these answer only after their call has returned, so that a later call would come first.
    const endsLater = (['pipe', 'sendFile', 'events', 'error'] as Ending[]).includes(response.op)
    return { method, steps: [...changes, response, ...(endsLater ? [] : afterwards)] as Step[] }
  })

for (const [version, express] of [
  ['Express 4', express4],
  ['Express 5', express5],
] as const) {
  describe(`${version}, beside express-session`, () => {
    let provider: HostileProvider
    let theirs: Side
    let ours: Side

    before(async () => {
      provider = await startHostileProvider()
      theirs = await startSide(express(), app => {
        app.use(session({ secret: secret('of express-session'), resave: false, saveUninitialized: false }))
        return async () => {}
      })
      ours = await startSide(express(), (app, baseUrl) => {
        const { issuer, clientId, clientSecret } = provider
        const oidc = openIdConnect({
          issuer,
          clientId,
          clientSecret,
          baseUrl,
          secret: secret('of our session'),
          log: () => {},
        })
        app.use(oidc)
        return () => oidc.close()
      })
    })
    after(async () => {
      await theirs.close()
      await ours.close()
      await provider.close()
    })

    test('a handler and its client see the same, and the same is stored', async () => {
      const property = fc.asyncProperty(fc.array(program, { minLength: 1, maxLength: 3 }), async requests => {
        const [expected, actual] = [await play(theirs, requests), await play(ours, requests)]
        assert.deepEqual(comparable(actual, requests), comparable(expected, requests))
        // 1 and 2
        if (requests.some(({ steps }) => steps.some(({ op }) => op === 'destroy' || op === 'save'))) return
        assert.deepEqual(actual.seen.map(setsCookie), expected.seen.map(setsCookie))
      })
      await fc.assert(property, { seed, numRuns: 150 * scale, endOnFailure: scale > 1, includeErrorInReport: true })
    })
  })
}

function setsCookie({ setCookies }: Seen): boolean {
  return setCookies.length > 0
}
