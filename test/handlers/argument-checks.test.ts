import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inScene } from './scene.js'

const failures: unknown[] = []

test(
  'a misspelt or impossible argument of accessToken, userInfo and logout is refused, and changes nothing',
  inScene(
    {
      site: {
        routes(app) {
          app.get('/misuse', (req, res) => {
            const calls = [
              req.oidc.accessToken({ minValidty: 5 } as never),
              req.oidc.accessToken({ minValidity: Number.NaN }),
              req.oidc.accessToken({ forceRefresh: 'no' } as never),
              req.oidc.accessToken(null as never),
              req.oidc.userInfo({ refesh: true } as never),
              req.oidc.logout({ locl: true } as never),
              req.oidc.logout({ local: 'false' } as never),
            ]
            Promise.allSettled(calls).then(results => {
              for (const result of results) failures.push(result.status === 'rejected' && result.reason.code)
              res.json(req.oidc.isAuthenticated)
            })
          })
        },
      },
    },
    async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      assert.equal((await agent.open(`${site.url}/misuse`)).json(), true)
      assert.deepEqual(failures, Array(7).fill('ERR_OIDC_OPTIONS'))
    },
  ),
)
