import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatEnds, measureEnd, openAll } from './session-end-bench.js'
import { openWatchedFleet } from './watched-fleet.js'

test('npm run bench:ending measures the end of the sessions of a user, and prints it as a row', async t => {
  const fleet = await openWatchedFleet({ processes: 2 })
  t.after(() => fleet.close())
  const measured = { sub: 'alice', cookies: await fleet.signIn('alice', 12), total: 12 }
  const closed = await openAll(fleet.instances, measured.cookies)
  const figures = await measureEnd(fleet, { ...measured, event: 'CAEP session-revoked', closed })
  assert.deepEqual([figures.ended, figures.stillIn], [12, 0])
  const lines = formatEnds([{ mode: 'Redis pub/sub', figures }]).split('\n')
  assert.equal(lines.length, 3)
  const cells = lines[2]?.slice(2, -2).split(' | ') ?? []
  assert.deepEqual(cells.slice(0, 4), ['CAEP session-revoked', '12', '12', 'Redis pub/sub'])
  for (const cell of cells.slice(4, 7)) assert.match(cell, /^\d+ ms$/)
})

test('a session that does not end is seen', async t => {
  const fleet = await openWatchedFleet({ processes: 1 })
  t.after(() => fleet.close())
  const [cookies, others] = [await fleet.signIn('alice', 2), await fleet.signIn('bob', 1)]
  const closed = await openAll(fleet.instances, cookies)
  const measuring = measureEnd(fleet, { event: 'global revocation', sub: 'alice', cookies, total: 3, closed })
  assert.equal((await measuring).stillIn, 0)
  const nothing = async () => performance.now()
  const more = { event: 'global revocation', sub: 'carol', cookies: others, total: 1, closed: nothing } as const
  await assert.rejects(measureEnd(fleet, more, 1), /a session has not ended/)
})
