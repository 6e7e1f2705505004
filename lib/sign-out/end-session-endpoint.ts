import { setTimeout as wait } from 'node:timers/promises'
import type { Services } from '../options/config.js'

/** Milliseconds a sign-out waits to learn where the provider's sign-out is. It never waits longer for anything. */
const patience = 1_000

/** What is known at once, or soon; a provider that is down or has no such endpoint is passed over. */
export async function endSessionEndpoint({ provider }: Pick<Services, 'provider'>): Promise<string | undefined> {
  const known = provider.peekMetadata()
  if (known !== undefined) return known.end_session_endpoint
  const giveUp = new AbortController()
  const metadata = await Promise.race([
    provider.metadata().catch(() => undefined),
    wait(patience, undefined, { signal: giveUp.signal }).catch(() => undefined),
  ])
  giveUp.abort()
  return metadata?.end_session_endpoint
}
