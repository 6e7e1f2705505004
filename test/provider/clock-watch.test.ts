import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchClock } from '../../lib/provider/clock-watch.js'
import { createHttp, type Http } from '../../lib/provider/http.js'

const now = () => new Date('2030-01-01T12:00:00Z')

/** A provider with the `Date` of each response in turn. */
function watched(responses: readonly Readonly<Record<string, string>>[]): {
  readonly http: Http
  readonly log: string[]
} {
  const log: string[] = []
  const left = [...responses]
  const fetch = async () => new Response('{}', { headers: left.shift() ?? {} })
  const http = watchClock(createHttp({ fetch }), { now, clockTolerance: 30, log: line => void log.push(line) })
  return { http, log }
}

const at = (time: string) => ({ date: new Date(`2030-01-01T${time}Z`).toUTCString() })

for (const [name, headers, says] of [
  ['the same time', at('12:00:00'), undefined],
  ['a clock just within the tolerance', at('11:59:30'), undefined],
  ['one just beyond it', at('11:59:29'), /31 seconds ahead of/],
  ['one that is ahead', at('12:01:00'), /60 seconds behind/],
  ['a response that a cache kept', { ...at('11:50:00'), age: '600' }, undefined],
  ['a kept response of a clock that is off', { ...at('11:50:00'), age: '60' }, /540 seconds ahead of/],
  ['no date', {}, undefined],
  ['a date that is none', { date: 'yesterday' }, undefined],
] as const) {
  test(`${name} ${says === undefined ? 'is no news' : 'is said'}`, async () => {
    const { http, log } = watched([headers])
    await http.getJson('https://op.example/')
    assert.equal(log.length, says === undefined ? 0 : 1)
    if (says !== undefined) assert.match(log.join(), says)
  })
}

test('is said once, and again when it was right in between', async () => {
  const { http, log } = watched([at('11:00:00'), at('11:00:00'), at('12:00:00'), at('11:00:00')])
  for (let count = 0; count < 4; count += 1) await http.postForm('https://op.example/', {}, {})
  assert.equal(log.length, 2)
})
