import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import express5, { type Express, type Request } from 'express'
import { createRequestProperties } from '../../lib/http/request-properties.js'
import { createAgent } from '../support/agent.js'
import { startLoopbackServer } from '../support/loopback-server.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

type Coloured = Request & { hue?: string; colour?: string }

function colours() {
  return createRequestProperties({
    colour: {
      configurable: true,
      get(this: Coloured) {
        return this.hue
      },
    },
  })
}

const define = colours()

function paint(app: Express, hue: string): void {
  app.use((req: Coloured, _res, next) => {
    define(req)
    req.hue = hue
    next()
  })
}

function tell(app: Express, path: string): void {
  app.get(path, (req: Coloured, res) => void res.send(`${req.colour} ${Object.hasOwn(req, 'colour')}`))
}

async function ask(app: Express, paths: readonly string[]): Promise<string[]> {
  const server = await startLoopbackServer(app as unknown as Parameters<typeof startLoopbackServer>[0])
  const responses: string[] = []
  for (const path of paths) responses.push((await createAgent().open(`http://localhost:${server.port}${path}`)).text)
  await server.stop()
  return responses
}

for (const [version, express] of [
  ['4', express4],
  ['5', express5],
] as const) {
  describe(`properties of a request of Express ${version}`, () => {
    test('are there in an app that is mounted, and are no property of the request itself', async () => {
      const app = express()
      const mounted = express()
      paint(app, 'red')
      tell(mounted, '/below')
      tell(app, '/')
      app.use('/mounted', mounted)
      assert.deepEqual(await ask(app, ['/', '/mounted/below']), ['red false', 'red false'])
    })

    test('stay where the mounted app that gave them hands the request on', async () => {
      const app = express()
      const mounted = express()
      paint(mounted, 'blue')
      app.use(mounted)
      tell(app, '/')
      assert.deepEqual(await ask(app, ['/']), ['blue false'])
    })

    test('belong to one request: another that was not given any has none', async () => {
      const app = express()
      app.get('/early', (req: Coloured, res) => void res.send(String(req.colour)))
      paint(app, 'green')
      tell(app, '/')
      assert.deepEqual(await ask(app, ['/', '/early']), ['green false', 'undefined'])
    })

    test('do not take the place of what another copy has put there, and do of what another middleware has', async () => {
      const app = express()
      const another = colours()
      paint(app, 'white')
      app.use('/both', (req: Coloured, _res, next) => {
        another(req)
        next()
      })
      tell(app, '/both')
      tell(app, '/')
      assert.deepEqual(await ask(app, ['/', '/both', '/']), ['white false', 'white true', 'white false'])

      const plain = express()
      plain.use((req, _res, next) => {
        Object.assign(req, { colour: 'black' })
        next()
      })
      paint(plain, 'grey')
      tell(plain, '/')
      assert.deepEqual(await ask(plain, ['/', '/']), ['grey false', 'grey false'])
    })
  })
}

test('a request of no app gets the properties itself', () => {
  const req = { hue: 'pink' } as Coloured
  define(req)
  assert.equal(req.colour, 'pink')
  assert.ok(Object.hasOwn(req, 'colour'), 'no own property')
})
