import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Fault, faults, formatFaults, measureFault, openFaultFixture } from './fault-bench.js'

test('npm run bench:faults measures a fault, its losses and its control, and prints them as a row', async t => {
  const fixture = await openFaultFixture()
  t.after(() => fixture.close())
  const cut = faults.find(({ name }) => name === 'all connections to Redis are cut')
  assert.ok(cut, 'no such fault')
  const figures = await measureFault(fixture, cut, { users: 2, calm: 0.2, patience: 60 })
  assert.deepEqual([figures.lost.users, figures.lost.writes, figures.lost.reused], [0, 0, 0])
  const lines = formatFaults([figures]).split('\n')
  assert.equal(lines.length, 3)
  const cells = lines[2]?.slice(2, -2).split(' | ') ?? []
  assert.equal(cells.length, 9, lines[2])
  for (const seconds of [...cells.slice(2, 6), cells[7]]) assert.match(seconds ?? '', /^\d+\.\d s$/)
})

test('a loss is seen: a Redis that was emptied has signed all users out, at the site and at the control', async t => {
  const fixture = await openFaultFixture()
  t.after(() => fixture.close())
  const emptied: Fault = {
    name: 'Redis is emptied',
    seconds: 0,
    hits: 'Redis',
    strike: ({ redis }) => redis.command('FLUSHALL'),
    heal() {},
  }
  const { lost, control } = await measureFault(fixture, emptied, { users: 2, calm: 0.2, patience: 1 })
  assert.equal(lost.users, 2)
  // express-session writes a session back whose request was under way.
  assert.ok(control.lost.users > 0)
})
