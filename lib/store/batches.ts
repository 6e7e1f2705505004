const BATCH = 100

export function* batchesOf<T>(items: readonly T[]): Iterable<readonly T[]> {
  for (let start = 0; start < items.length; start += BATCH) yield items.slice(start, start + BATCH)
}

/** Like `Promise.all` over `items.map(work)`, with a bounded number of them under way. */
export async function mapInBatches<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = []
  for (const batch of batchesOf(items)) results.push(...(await Promise.all(batch.map(work))))
  return results
}
