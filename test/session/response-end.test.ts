import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, test } from 'node:test'
import type { Express, NextFunction, Request, Response } from 'express'
import { type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { startRedis } from '../support/redis.js'
import { send } from './like-express-session.js'

declare module 'express-session' {
  interface SessionData {
    mark: string
  }
}

type Handler = (req: Request, res: Response, next: NextFunction) => unknown

/** One site whose route changes the session and then does `handler`. */
function withRoute(handler: Handler, express: 4 | 5 = 5, options: FixtureOptions = {}): FixtureOptions {
  const routes = (app: Express) => {
    app.get('/act', (req, res, next) => {
      req.session.mark = 'kept'
      handler(req, res, next)
    })
  }
  return { ...options, site: { express, routes, handlesErrors: false, ...options.site } }
}

describe('a response while its session is saved', () => {
  const noticed: unknown[] = []
  const closed: string[] = []

  for (const express of [4, 5] as const) {
    test(
      `Express ${express}: an error after the response leaves it whole, and closes the connection after it`,
      withFixture(
        withRoute((_req, res) => {
          res.send('fine')
          throw new Error('too late to matter')
        }, express),
        async ({ site }) => {
          const response = await send(site.url, 'GET', '/act', '')
          assert.deepEqual([response.status, response.body, response.isBroken], [200, 'fine', false])
          assert.equal(response.setCookies.length, 1)
        },
      ),
    )
  }

  test('end(text, encoding, callback) and end(callback) call back when the response has left, in the order of Node', async () => {
    for (const end of [
      (res: Response, callback: () => void) => res.end('text', 'utf8', callback),
      (res: Response, callback: () => void) => res.end(callback),
      (res: Response, callback: () => void) => res.end('text', callback as never),
    ]) {
      const order: string[] = []
      await withFixture(
        withRoute((_req, res) => {
          res.on('finish', () => order.push('finish'))
          end(res, () => order.push('callback'))
          res.end(() => order.push('second callback'))
          order.push('returned')
        }),
        async ({ site }) => {
          assert.equal((await send(site.url, 'GET', '/act', '')).status, 200)
          assert.deepEqual(order.toSorted(), ['callback', 'finish', 'returned', 'second callback'])
          assert.equal(order[0], 'returned')
        },
      )()
    }
  })

  test(
    'looks ended: written text is dropped, headers and status stay what they were',
    withFixture(
      withRoute((_req, res) => {
        res.status(201).json({ a: 1 })
        const { headersSent, writableEnded, finished, writableFinished } = res
        noticed.push({ headersSent, writableEnded, finished, writableFinished })
        res.statusCode = 500
        noticed.push(res.write('more'))
        for (const late of [
          () => res.setHeader('X-Late', '1'),
          () => res.writeHead(500),
          () => res.cookie('late', '1'),
        ]) {
          try {
            noticed.push(late())
          } catch (error) {
            noticed.push((error as { code?: string }).code)
          }
        }
      }),
      async ({ site }) => {
        const response = await send(site.url, 'GET', '/act', '')
        assert.deepEqual([response.status, response.body], [201, '{"a":1}'])
        assert.equal(response.headers['x-late'], undefined)
        const ended = { headersSent: true, writableEnded: true, finished: true, writableFinished: false }
        assert.deepEqual(noticed, [ended, false, ...Array(3).fill('ERR_HTTP_HEADERS_SENT')])
      },
    ),
  )

  test(
    'a value that Node does not accept as a body is refused at once, and the error handler can still respond',
    withFixture(
      withRoute((_req, res, next) => {
        try {
          res.end({ not: 'a body' } as never)
        } catch (error) {
          next(Object.assign(error as Error, { status: 418 }))
        }
      }),
      async ({ site }) => {
        const response = await send(site.url, 'GET', '/act', '')
        assert.deepEqual([response.status, response.isBroken, response.setCookies.length], [418, false, 1])
      },
    ),
  )

  test(
    'what is changed after the response has ended is not stored',
    withFixture(
      withRoute((req, res) => {
        res.json({})
        req.session.mark = 'late'
      }),
      async ({ agent, site }) => {
        await agent.open(`${site.url}/act`)
        assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { mark: 'kept' })
      },
    ),
  )

  test(
    'a client that goes away meanwhile costs nothing but its response: the change is stored',
    withFixture(
      withRoute((req, res) => {
        const { socket } = req
        res.on('close', () => closed.push('closed'))
        setImmediate(() => {
          socket.resetAndDestroy()
          setImmediate(() => res.json({}))
        })
      }),
      async ({ agent, site }) => {
        const cookie = await cookieOf(agent.fetch(`${site.url}/session?mark=before`, { method: 'POST' }))
        await new Promise<void>(resolve => {
          const outgoing = request(`${site.url}/act`, { headers: { cookie }, agent: false })
          outgoing.on('error', () => resolve()).end()
        })
        await new Promise(resolve => setTimeout(resolve, 20))
        assert.deepEqual(closed, ['closed'])
        assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { mark: 'kept' })
        assert.deepEqual(site.errors, [])
      },
    ),
  )

  for (const [name, response] of [
    ['json and another end', (res: Response) => [res.json({ good: true }), res.end()]],
    ['a redirect and another end', (res: Response) => [res.redirect('/elsewhere'), res.end()]],
    ['a text and another text', (res: Response) => [res.end('good'), res.end('better')]],
  ] as const) {
    test(`a save that fails is an honest 503, whole, after ${name}`, async () => {
      const redis = await startRedis()
      try {
        await withFixture(
          withRoute((_req, res) => void response(res), 5, { oidc: { redis: redis.url } }),
          async ({ site }) => {
            await site.oidc.ready()
            await redis.config('maxmemory', '1')
            const { status, body, isBroken, setCookies, headers } = await send(site.url, 'GET', '/act', '')
            assert.deepEqual([status, isBroken, setCookies, headers.location], [503, false, [], undefined])
            assert.equal(JSON.parse(body).error, 'ERR_OIDC_STORE_UNAVAILABLE')
          },
        )()
      } finally {
        await redis.stop()
      }
    })
  }
})

describe('a session first changed when the headers have left', () => {
  const streams: [string, (res: Response) => void][] = [
    ['write', res => void res.write('one')],
    ['writeHead', res => void res.writeHead(200)],
    ['flushHeaders', res => res.flushHeaders()],
  ]
  for (const [name, begin] of streams) {
    test(
      `an earlier session keeps what is written after ${name}, and a new one is an error`,
      withFixture(
        {
          site: {
            routes: app =>
              app.get('/stream', (req, res) => {
                begin(res)
                req.session.mark = 'streamed'
                res.end('done')
              }),
          },
        },
        async ({ agent, site }) => {
          const response = await send(site.url, 'GET', '/stream', '')
          assert.equal(response.isBroken, true)
          assert.equal(site.lastCode(), 'ERR_OIDC_SESSION_TOO_LATE')
          await agent.fetch(`${site.url}/session?mark=before`, { method: 'POST' })
          await agent.open(`${site.url}/stream`)
          assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { mark: 'streamed' })
        },
      ),
    )
  }
})

async function cookieOf(page: Promise<{ hops: readonly { setCookies: readonly string[] }[] }>): Promise<string> {
  return (await page).hops[0]?.setCookies[0]?.split(';')[0] ?? ''
}
