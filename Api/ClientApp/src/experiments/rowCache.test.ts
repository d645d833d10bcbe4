import { describe, expect, it, vi } from 'vitest'
import { RowCache } from './rowCache'

interface Row { id: string; status: string; place: number }

function listOf(total: number): { read: (offset: number, limit: number) => Promise<Row[]>; asked: number[]; status: string } {
  const list = {
    asked: [] as number[],
    status: 'queued',
    read: (offset: number, limit: number): Promise<Row[]> => {
      list.asked.push(offset)
      return Promise.resolve(Array.from({ length: Math.max(0, Math.min(limit, total - offset)) }, (_, at) => ({ id: `${offset + at}`, status: list.status, place: offset + at })))
    },
  }
  return list
}

const cacheOf = (list: { read: (offset: number, limit: number) => Promise<Row[]> }): RowCache<Row> => new RowCache<Row>(list.read, () => {}, (error) => { throw error })

describe('RowCache', () => {
  it('reads what is looked at and what is near', async () => {
    const list = listOf(100_000)
    const cache = cacheOf(list)
    cache.look(50_010, 50_040, 100_000)
    await vi.waitFor(() => expect(list.asked).toEqual([50_000, 50_100, 49_800]))
    expect(cache.at(50_010)?.place).toBe(50_010)
    expect(cache.at(50_299)?.place).toBe(50_299)
    expect(cache.at(10)).toBeUndefined()
  })

  it('forgets what is far away', async () => {
    const list = listOf(100_000)
    const cache = cacheOf(list)
    for (let first = 0; first < 20_000; first += 100) {
      cache.look(first, first + 30, 100_000)
      await vi.waitFor(() => expect(cache.at(first)).toBeDefined())
    }
    let kept = 0
    for (let place = 0; place < 20_000; place++) if (cache.at(place)) kept++
    expect(kept).toBeLessThan(4_000)
    expect(cache.at(0)).toBeUndefined()
    expect(cache.placeOf('19950')).toBe(19_950)
    expect(cache.placeOf('0')).toBeUndefined()
  })

  it('asks for nothing beyond the end', async () => {
    const list = listOf(130)
    const cache = cacheOf(list)
    cache.look(0, 30, 130)
    await vi.waitFor(() => expect(cache.at(129)?.place).toBe(129))
    expect(list.asked.sort((one, other) => one - other)).toEqual([0, 100])
  })

  it('shows the old rows until the new ones are there, and drops what an older question brings', async () => {
    const answers: ((rows: Row[]) => void)[] = []
    const cache = new RowCache<Row>(() => new Promise((resolve) => answers.push(resolve)), () => {}, () => {})
    const answer = (question: number, id: string): void => answers[question]?.([{ id, status: 'queued', place: 0 }])
    const first = cache.reload(true)
    answer(0, 'a')
    await first
    const older = cache.reload(true)
    const newer = cache.reload(true)
    expect(cache.at(0)?.id).toBe('a')
    answer(2, 'c')
    await newer
    answer(1, 'b')
    await older
    expect(cache.at(0)?.id).toBe('c')
  })

  it('keeps what is read while it reloads, and goes on where somebody has scrolled to', async () => {
    const questions: { offset: number; answer: () => void }[] = []
    const list = listOf(100_000)
    const cache = new RowCache<Row>(
      (offset, limit) => new Promise((resolve) => questions.push({ offset, answer: () => void list.read(offset, limit).then(resolve) })),
      () => {},
      () => {},
    )
    const reloading = cache.reload(true)
    cache.look(99_950, 99_980, 100_000)
    questions.find(({ offset }) => offset === 99_900)?.answer()
    await vi.waitFor(() => expect(cache.at(99_950)?.place).toBe(99_950))
    questions.find(({ offset }) => offset === 0)?.answer()
    await reloading
    expect(cache.at(99_950)?.place).toBe(99_950)
    expect(cache.at(10)?.place).toBe(10)
  })

  it('lets go of what another question makes needless', async () => {
    const signals: AbortSignal[] = []
    const cache = new RowCache<Row>(
      (_, __, signal) => {
        signals.push(signal)
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
      },
      () => {},
      (error) => { throw error },
    )
    cache.look(500, 530, 1_000)
    const reloading = cache.reload(false)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    void cache.reload(true)
    await reloading
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false])
  })

  it('shows old neighbours until they are looked at, then reads them again', async () => {
    const list = listOf(1_000)
    const cache = cacheOf(list)
    cache.look(0, 30, 1_000)
    await vi.waitFor(() => expect(cache.at(250)).toBeDefined())
    list.status = 'running'
    await cache.reload(false)
    expect(cache.at(0)?.status).toBe('running')
    expect(cache.at(250)?.status).toBe('queued')
    cache.look(240, 270, 1_000)
    await vi.waitFor(() => expect(cache.at(250)?.status).toBe('running'))
  })

  it('replaces rows in place, and says when one may have moved', async () => {
    const list = listOf(10)
    const cache = cacheOf(list)
    await cache.reload(true)
    expect(cache.patch([{ id: '3', status: 'queued', place: 33 }])).toBe(false)
    expect(cache.at(3)?.place).toBe(33)
    expect(cache.patch([{ id: '3', status: 'running', place: 34 }])).toBe(true)
    expect(cache.patch([{ id: '3', status: 'running', place: 35 }])).toBe(false)
    expect(cache.patch([{ id: 'new', status: 'queued', place: 0 }])).toBe(true)
    expect(cache.patch([{ id: 'new', status: 'queued', place: 0 }])).toBe(false)
  })
})
