import { startSignIn } from './browser.js'
import type { Figure } from './figures.js'
import { type StubProvider, startContender } from './processes.js'

/** Bytes a signed-in session leaves in the process of the site, once everything is warm. */
export async function measureMemory({ issuer }: StubProvider, redisUrl: string, signIns: number) {
  const contender = await startContender('hybrid', { issuer, redisUrl, responseType: 'code id_token', userInfo: false })
  const signInMany = async (count: number) => {
    for (let each = 0; each < count; each += 1) await (await startSignIn(contender.baseUrl)).send()
    return (await contender.settledUsage()).heap
  }
  await signInMany(signIns)
  const before = await signInMany(signIns)
  const after = await signInMany(signIns)
  await contender.stop()
  const bytes = Math.round((after - before) / signIns)
  // A session held in memory would be some kilobytes; what is less than a hundred bytes is the heap settling.
  const figure: Figure = { what: 'bytes of heap per signed-in session', against: '-', goal: 100, value: bytes }
  return { figures: [figure], table: [{ signIns, heapBefore: before, heapAfter: after, bytes }] }
}
