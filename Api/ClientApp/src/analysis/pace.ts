/** How long it rests, against what the last read took: the service has others to answer. */
const Rest = 5
const LongestRest = 60_000

export interface Paced {
  /** Reads soon: one at a time, after a rest. */
  ask: () => void
  /** Reads at once, instead of what is being read: somebody asked something else. */
  now: () => void
  stop: () => void
}

/**
 * Reads what changes all the time, so that slow answers come to be seen and a slow service isn't asked ever more.
 * @param read Tells whether it worked; if not, it is read again, after ever longer. An answer that isn't current any more is to be ignored.
 * @param atLeast Milliseconds of rest.
 */
export function paced(read: (isCurrent: () => boolean) => Promise<boolean>, atLeast: number): Paced {
  let question = 0
  let isReading = false
  let isWanted = false
  let rest = atLeast
  let restedFrom = -Infinity
  let waiting: ReturnType<typeof setTimeout> | undefined

  function wait(): void {
    waiting ??= setTimeout(now, Math.max(atLeast, restedFrom + rest - performance.now()))
  }

  async function run(): Promise<void> {
    const mine = ++question
    const began = performance.now()
    clearTimeout(waiting)
    waiting = undefined
    isReading = true
    isWanted = false
    let isDone = false
    try {
      isDone = await read(() => mine === question)
    } finally {
      if (mine === question) {
        isReading = false
        restedFrom = performance.now()
        const due = Math.max(atLeast, Rest * (restedFrom - began))
        rest = Math.min(LongestRest, isDone ? due : Math.max(due, 2 * rest))
        if (isWanted || !isDone) wait()
      }
    }
  }

  function now(): void {
    void run()
  }

  return {
    now,
    ask() {
      isWanted = true
      if (!isReading) wait()
    },
    stop() {
      question++
      clearTimeout(waiting)
    },
  }
}
