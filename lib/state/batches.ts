const BATCH = 100

/** Like `Promise.all` over `items.map(work)`, with a bounded number of them under way. */
export async function mapInBatches<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = []
  for (let start = 0; start < items.length; start += BATCH) {
    results.push(...(await Promise.all(items.slice(start, start + BATCH).map(work))))
  }
  return results
}
