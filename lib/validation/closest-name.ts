/**
 * The known name that a misspelt one most probably means, or `undefined`. Upper and lower case count as the same; otherwise up to a
 * third of the letters may differ, or one name may be the beginning or the end of the other.
 */
export function findClosestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > 60) return undefined
  const given = plain(name)
  const ranked = known
    .map(candidate => ({ candidate, distance: distanceBetween(given, plain(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.floor(Math.max(given.length, candidate.length) / 3))
    .sort((one, other) => one.distance - other.distance)
  return ranked[0]?.candidate ?? known.find(candidate => isPart(given, plain(candidate)))
}

/** `client_id` and `clientID` are `clientId`. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '')
}

const SHORTEST_PART = 4

function isPart(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one]
  return short.length >= SHORTEST_PART && (long.startsWith(short) || long.endsWith(short))
}

/** Letters to insert, remove, replace or swap with their neighbour. Optimal string alignment. */
function distanceBetween(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const cost = one[row - 1] === other[column - 1] ? 0 : 1
      const isSwap = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      current[column] = Math.min(
        at(rows, row - 1, column) + 1,
        at([current], 0, column - 1) + 1,
        at(rows, row - 1, column - 1) + cost,
        isSwap ? at(rows, row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    rows.push(current)
  }
  return at(rows, one.length, other.length)
}

function at(rows: readonly (readonly number[])[], row: number, column: number): number {
  return rows[row]?.[column] ?? Number.POSITIVE_INFINITY
}
