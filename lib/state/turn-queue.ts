/** Runs a task when all earlier tasks of the same key have settled. */
export type TurnQueue = <T>(key: string, task: () => Promise<T>) => Promise<T>

export function createTurnQueue(): TurnQueue {
  const last = new Map<string, Promise<unknown>>()
  return (key, task) => {
    const turn = (last.get(key) ?? Promise.resolve()).then(task)
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (last.get(key) === settled) last.delete(key)
      })
    last.set(key, settled)
    return turn
  }
}
