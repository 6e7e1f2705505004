/** Characters of a header that are looked at. Browsers send less than a hundred. */
const LONGEST = 1000

/** RFC 9110 section 12.4.2: a weight from 0 to 1, with three digits at most. */
const RANGE = /^[ \t]*(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)[ \t]*(?:;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?[ \t]*$/i

interface LanguageRange {
  /** In lower case. */
  readonly tag: string
  readonly weight: number
}

/**
 * The language of `offered` that the client prefers; where it prefers none of them, the first. Of two that it prefers alike that one counts which it
 * names more exactly, and then first. A range that cannot be read is none.
 *
 * @param offered - primary language subtags in lower case, at least one. RFC 5646 section 2.2.1
 * @see RFC 9110 section 12.5.4, RFC 4647 section 3.4
 */
export function chooseLanguage<T extends string>(header: string | undefined, offered: readonly [T, ...T[]]): T {
  const ranges = parse(header)
  let [best] = offered
  let found: Match = { weight: 0, exactness: 0, at: 0 }
  for (const language of offered) {
    const match = matchOf(ranges, language)
    if (match !== undefined && match.weight > 0 && isBetter(match, found)) {
      best = language
      found = match
    }
  }
  return best
}

interface Match {
  readonly weight: number
  /** 2 for the language itself, 1 for one of its variants, 0 for `*`. */
  readonly exactness: number
  /** Position in the header. */
  readonly at: number
}

/** The range that says most about a language, whatever its weight: `de;q=0, *` does not want German. */
function matchOf(ranges: readonly LanguageRange[], language: string): Match | undefined {
  let best: Match | undefined
  for (const [at, { tag, weight }] of ranges.entries()) {
    const exactness = tag === language ? 2 : tag.startsWith(`${language}-`) ? 1 : tag === '*' ? 0 : undefined
    if (exactness === undefined) continue
    const isMore =
      best === undefined || exactness > best.exactness || (exactness === best.exactness && weight > best.weight)
    if (isMore) best = { weight, exactness, at }
  }
  return best
}

function isBetter(one: Match, other: Match): boolean {
  if (one.weight !== other.weight) return one.weight > other.weight
  if (one.exactness !== other.exactness) return one.exactness > other.exactness
  return one.at < other.at
}

function parse(header = ''): LanguageRange[] {
  const texts = header.slice(0, LONGEST).split(',')
  // What was cut off in the middle means something else.
  if (header.length > LONGEST) texts.pop()
  return texts
    .map(text => RANGE.exec(text))
    .filter(match => match !== null)
    .map(([, tag = '', weight = '1']) => ({ tag: tag.toLowerCase(), weight: Number(weight) }))
}
