import { onScopeDispose } from 'vue'
import { ApiError } from '@/api/client'
import { useReporting } from '@/reporting'

/** So many times as long as a reading takes, nothing is read again. */
const Rest = 5

/**
 * Reads again when something may have changed: never twice at a time, no more often than the service can take, and not while nobody looks. What
 * goes wrong is said once, until it goes well again.
 */
export function useRefresher(read: () => Promise<void>, atMostEvery = 1_000): { now: () => Promise<void>; soon: () => void } {
  const { failed } = useReporting()
  let timer: ReturnType<typeof setTimeout> | undefined
  let isReading = false
  let isStale = false
  let isFailing = false
  let took = 0

  async function now(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    isStale = isReading
    if (isReading) return
    isReading = true
    const began = performance.now()
    try {
      await read()
      isFailing = false
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (!isFailing) failed(error)
      isFailing = true
    } finally {
      took = performance.now() - began
      isReading = false
    }
    if (isStale) soon()
  }

  function soon(): void {
    if (document.hidden || isReading) isStale = true
    else timer ??= setTimeout(() => void now(), Math.max(atMostEvery, Rest * took))
  }

  const looked = (): void => {
    if (!document.hidden && isStale) soon()
  }

  document.addEventListener('visibilitychange', looked)
  onScopeDispose(() => {
    clearTimeout(timer)
    isStale = false
    document.removeEventListener('visibilitychange', looked)
  })
  return { now, soon }
}
