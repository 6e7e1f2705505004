import type { RedisServer } from '../support/redis.js'

/** What Redis has done so far. */
export interface RedisUsage {
  readonly commands: number
  /** Bytes it received and sent. */
  readonly bytes: number
  /** Microseconds of CPU. */
  readonly cpu: number
}

/** Asking costs one command by itself, and its bytes. */
export async function redisUsage(redis: RedisServer): Promise<RedisUsage> {
  const text = String(await redis.command('INFO', 'everything'))
  const number = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1])
  return {
    commands: number('total_commands_processed'),
    bytes: number('total_net_input_bytes') + number('total_net_output_bytes'),
    cpu: (number('used_cpu_user') + number('used_cpu_sys')) * 1e6,
  }
}
