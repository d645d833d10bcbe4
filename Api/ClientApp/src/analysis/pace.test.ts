import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { paced } from './pace'

const takes = (milliseconds: number, isDone = true): Promise<boolean> => new Promise((resolve) => setTimeout(() => resolve(isDone), milliseconds))

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('paced', () => {
  it('reads one at a time, and rests in proportion', async () => {
    const seen: boolean[] = []
    const read = vi.fn(async (isCurrent: () => boolean) => {
      await takes(4_000)
      seen.push(isCurrent())
      return true
    })
    const { now, ask } = paced(read, 3_000)
    now()
    for (let second = 0; second < 23; second++) {
      ask()
      await vi.advanceTimersByTimeAsync(1_000)
    }
    expect(read).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(read).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(60_000)
    // Nobody asked since.
    expect(seen).toEqual([true, true])
    expect(read).toHaveBeenCalledTimes(2)
  })

  it('gives up an answer for what is asked at once', async () => {
    const seen: boolean[] = []
    const { now } = paced(async (isCurrent) => {
      await takes(1_000)
      seen.push(isCurrent())
      return true
    }, 3_000)
    now()
    await vi.advanceTimersByTimeAsync(500)
    now()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(seen).toEqual([false, true])
  })

  it('tries again after a failure, later and later, until it works or is stopped', async () => {
    const answers = [false, false, true]
    const read = vi.fn(async () => takes(0, answers.shift() ?? false))
    const { now, stop } = paced(read, 1_000)
    now()
    await vi.advanceTimersByTimeAsync(2_100)
    expect(read).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(4_100)
    expect(read).toHaveBeenCalledTimes(3)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(read).toHaveBeenCalledTimes(3)
    now()
    await vi.advanceTimersByTimeAsync(100)
    stop()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(read).toHaveBeenCalledTimes(4)
  })
})
