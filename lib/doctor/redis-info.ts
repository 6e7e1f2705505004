import { type Finding, failure, good, info, warning } from './finding.js'

/**
 * The first version of each line without the hole in Lua scripts that lets a user of Redis run code on its machine (CVE-2025-49844). Lines that
 * are newer than these never had it, and older lines got no mend.
 */
const MENDED: Readonly<Record<'redis' | 'valkey', readonly (readonly [number, number, number])[]>> = {
  redis: [
    [6, 2, 20],
    [7, 2, 11],
    [7, 4, 6],
    [8, 0, 4],
    [8, 2, 2],
  ],
  valkey: [
    [7, 2, 11],
    [8, 0, 6],
    [8, 1, 4],
  ],
}

/** What the server says about itself in INFO. Nothing is said about what it does not tell. */
export function describeServer(info: string): readonly Finding[] {
  const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]
  return [
    ...describeVersion(field('valkey_version'), field('redis_version')),
    ...describeRole(field('role')),
    ...describeEviction(field('maxmemory'), field('maxmemory_policy')),
    ...describePersistence(field('aof_enabled'), field('rdb_last_bgsave_status')),
  ]
}

function describeVersion(valkey: string | undefined, redis: string | undefined): readonly Finding[] {
  const version = valkey ?? redis
  if (version === undefined) return []
  const name = valkey === undefined ? 'Redis' : 'Valkey'
  if (!hasKnownHole(valkey === undefined ? 'redis' : 'valkey', version))
    return [good('redis.version', `${name} ${version} is supported.`)]
  return [
    warning(
      'redis.version',
      `${name} ${version} has a known vulnerability (CVE-2025-49844) that lets its users run code.`,
      {
        cause:
          'Distributions may fix a vulnerability without a new version number. If yours has fixed this one, ignore this finding.',
        remedy: `Update ${name}, and let only this site reach it.`,
      },
    ),
  ]
}

/** Whether the version is older than the mend of its line. */
export function hasKnownHole(server: 'redis' | 'valkey', version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const lines = MENDED[server]
  const own = lines.find(([a, b]) => a === major && b === minor)
  if (own !== undefined) return patch < own[2]
  const [newestMajor, newestMinor] = lines.at(-1) ?? [0, 0]
  return major < newestMajor || (major === newestMajor && minor < newestMinor)
}

function describeRole(role: string | undefined): readonly Finding[] {
  if (role !== 'slave') return []
  const remedy = 'Give the address of the primary, or a client for Sentinel.'
  return [failure('redis.replica', 'This Redis is a replica, which accepts no writes.', { remedy })]
}

function describeEviction(limit = '0', policy: string | undefined): readonly Finding[] {
  if (policy === undefined) return []
  if (policy === 'noeviction')
    return [good('redis.eviction', 'Redis does not delete sessions when its memory is full (noeviction).')]
  const cause = `maxmemory-policy is ${policy}: when its memory is full, Redis signs users out.`
  const remedy = 'Set maxmemory-policy noeviction.'
  if (limit !== '0') return [failure('redis.eviction', 'Redis may delete sessions.', { cause, remedy })]
  return [info('redis.eviction', 'Redis would delete sessions if it had a limit (maxmemory).', { cause, remedy })]
}

function describePersistence(aof: string | undefined, lastSave: string | undefined): readonly Finding[] {
  if (lastSave === 'err') {
    const remedy = 'Look at the log of Redis: the disk may be full.'
    return [warning('redis.persistence', 'Redis could not save its data to disk the last time.', { remedy })]
  }
  if (aof !== '0') return []
  const cause = 'Without appendonly, sessions and sign-outs of the last minutes are lost when Redis restarts.'
  return [info('redis.persistence', 'Redis does not write every change to disk (appendonly no).', { cause })]
}
