import type { Backend } from '../../lib/store/backend/backend.js'

type Calls = Readonly<Record<string, (backend: Backend) => Promise<unknown>>>

/** The methods of a backend that change nothing. */
export const reads = {
  read: backend => backend.read('key', ['t']),
  readLogout: backend => backend.readLogout('key'),
  readMark: backend => backend.readMark('key'),
  isConsumed: backend => backend.isConsumed('key'),
  getText: backend => backend.getText('key'),
  members: backend => backend.members('key', 1),
  hasMember: backend => backend.hasMember('key', 'member'),
  readEntry: backend => backend.readEntry('key', 'name'),
  keys: backend => backend.keys('key', 1),
  time: backend => backend.time(),
  ping: backend => backend.ping(),
} satisfies Calls

/** Those that may write. */
export const writes = {
  create: backend => backend.create('key', { t: 'x' }, 60),
  swap: backend => backend.swap('key', 1, Buffer.from('x')),
  extend: backend => backend.extend('key', 1, 60),
  limit: backend => backend.limit('key', 60, 1, 60),
  remove: backend => backend.remove('key'),
  retire: backend => backend.retire('key', 1, 60),
  demand: backend => backend.demand('key', 'sign-in'),
  addField: backend => backend.addField('key', 'b', Buffer.from('x')),
  removeField: backend => backend.removeField('key', 't'),
  setText: backend => backend.setText('key', 'x', 60),
  consume: backend => backend.consume('key', 60),
  writeMark: backend => backend.writeMark('key', 'x', 60),
  removeMark: backend => backend.removeMark('key'),
  markLogout: backend => backend.markLogout('key', { at: 1 }, 60),
  addMember: backend => backend.addMember('key', 'member', 60, 1),
  removeMember: backend => backend.removeMember('key', 'member'),
  acquire: backend =>
    backend.acquire('key', { owner: 'a', duration: 1000, tokensVersion: '', failureVersion: '', needsTicket: false }),
  commit: backend => backend.commit('key', { owner: 'a', needsTicket: false, fields: {}, clearsFailure: false }),
  removeIf: backend => backend.removeIf('key', ''),
  addEntry: backend => backend.addEntry('key', '1 name', Buffer.from('x'), { most: 1, ttl: 60, now: 1 }),
  removeEntry: backend => backend.removeEntry('key', 'name'),
} satisfies Calls

/** Every method of a backend that sends something. */
export const calls: Readonly<
  Record<keyof Omit<Backend, 'close' | 'watchRemovals'>, (backend: Backend) => Promise<unknown>>
> = {
  ...reads,
  ...writes,
}
