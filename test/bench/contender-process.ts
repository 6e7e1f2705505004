import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ContenderSettings, CreateContender } from './contender.js'
import { createCheckedFloor } from './contenders/checked-floor.js'
import { createExpress } from './contenders/express.js'
import { createExpressOpenIdConnect, createExpressOpenIdConnectCookie } from './contenders/express-openid-connect.js'
import { createExpressSession } from './contenders/express-session.js'
import { createFloor } from './contenders/floor.js'
import { createHybrid } from './contenders/hybrid.js'
import { createPassport } from './contenders/passport.js'

const contenders: Readonly<Record<string, CreateContender>> = {
  express: createExpress,
  'express-session': createExpressSession,
  'express-openid-connect': createExpressOpenIdConnect,
  'express-openid-connect, cookie': createExpressOpenIdConnectCookie,
  passport: createPassport,
  hybrid: createHybrid,
  floor: createFloor,
  'checked floor': createCheckedFloor,
}

/** What a contender has used up so far. */
export interface Usage {
  readonly requests: number
  /** Microseconds of CPU, all threads. */
  readonly cpu: number
  /** Bytes, after a full garbage collection where there is one. */
  readonly heap: number
}

const [name = '', text = '{}'] = process.argv.slice(2)
const create = contenders[name]
if (create === undefined) throw new Error(`there is no contender ${name}`)
const server = createServer().listen(0, '127.0.0.1', () => void start(create))
let requests = 0

async function start(createListener: CreateContender): Promise<void> {
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const listener = await createListener({ ...(JSON.parse(text) as ContenderSettings), baseUrl })
  server.on('request', countRequest).on('request', listener as RequestListener)
  process.send?.({ baseUrl })
}

function countRequest(): void {
  requests += 1
}

process.on('message', (question: 'usage' | 'settled usage') => {
  if (question === 'settled usage') for (let round = 0; round < 3; round += 1) globalThis.gc?.()
  const { user, system } = process.cpuUsage()
  const usage: Usage = { requests, cpu: user + system, heap: process.memoryUsage().heapUsed }
  process.send?.(usage)
})
process.on('disconnect', () => process.exit())
