import { startRedis } from '../support/redis.js'
import { measurePages } from './pages.js'
import { leaveSiteCore, startContender, startStubProvider } from './processes.js'

leaveSiteCore()
const redis = await startRedis()
const provider = await startStubProvider()
const names = process.argv[2]?.split(',') ?? [
  'express',
  'express-session',
  'express-openid-connect',
  'express-openid-connect, cookie',
  'passport',
  'hybrid',
  'floor',
]
const settings = { issuer: provider.issuer, redisUrl: redis.url, responseType: 'code id_token', userInfo: false }
const contenders = []
for (const name of names) contenders.push(await startContender(name, settings))
const { figures, table } = await measurePages(contenders, redis, {
  rounds: Number(process.argv[3] ?? 3),
  seconds: Number(process.argv[4] ?? 1),
})
console.table(table)
console.table(figures)
for (const contender of contenders) await contender.stop()
await provider.stop()
await redis.stop()
