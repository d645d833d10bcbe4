import { describe, expect, it, vi } from 'vitest'
import { RowCache } from './rowCache'

interface Row { id: string; status: string; place: number }

function listOf(total: number): { read: (offset: number, limit: number) => Promise<Row[]>; asked: [number, number][]; status: string } {
  const list = {
    asked: [] as [number, number][],
    status: 'queued',
    read: (offset: number, limit: number): Promise<Row[]> => {
      list.asked.push([offset, limit])
      return Promise.resolve(Array.from({ length: Math.max(0, Math.min(limit, total - offset)) }, (_, at) => ({ id: `${offset + at}`, status: list.status, place: offset + at })))
    },
  }
  return list
}

const cacheOf = (list: { read: (offset: number, limit: number) => Promise<Row[]> }): RowCache<Row> => new RowCache<Row>(list.read, () => {}, (error) => { throw error })

interface Question { offset: number; limit: number; signal: AbortSignal; answer: (id?: string) => Promise<void>; fail: () => Promise<void> }

/** Reads what the test says, when it says so; being aborted is being answered with an error, as in fetch. */
function byHand(): { cache: RowCache<Row>; questions: Question[]; failures: unknown[] } {
  const questions: Question[] = []
  const failures: unknown[] = []
  const cache = new RowCache<Row>(
    (offset, limit, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')))
        questions.push({
          offset,
          limit,
          signal,
          answer: async (id = 'row') => {
            resolve(Array.from({ length: limit }, (_, at) => ({ id: `${id} ${offset + at}`, status: 'queued', place: offset + at })))
            await settled()
          },
          fail: async () => {
            reject(new Error('failed'))
            await settled()
          },
        })
      }),
    () => {},
    (error) => failures.push(error),
  )
  return { cache, questions, failures }
}

/** What was answered has been dealt with. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

const asked = (questions: Question[]): [number, number][] => questions.map(({ offset, limit }) => [offset, limit])

describe('RowCache', () => {
  it('reads what is looked at and what is near', async () => {
    const list = listOf(100_000)
    const cache = cacheOf(list)
    cache.look(50_010, 50_040, 100_000)
    await vi.waitFor(() => expect(list.asked).toEqual([[50_000, 100], [50_100, 200], [49_800, 200]]))
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
    expect(list.asked).toEqual([[0, 100], [100, 100]])
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

  it('lets go of what is far from where somebody has scrolled to, which is no failure', async () => {
    const { cache, questions, failures } = byHand()
    cache.look(0, 30, 100_000)
    cache.look(90, 220, 100_000)
    cache.look(50_000, 50_030, 100_000)
    await settled()
    expect(asked(questions)).toEqual([[0, 100], [100, 200], [50_000, 100]])
    expect(questions.map(({ signal }) => signal.aborted)).toEqual([true, true, false])
    expect(failures).toEqual([])
    cache.look(50_190, 50_199, 100_000)
    expect(questions[2]?.signal.aborted, 'a neighbour now').toBe(false)
  })

  it('reads what is looked at though neighbours are being read', async () => {
    const { cache, questions } = byHand()
    cache.look(5_000, 5_030, 100_000)
    await questions[0]?.answer()
    cache.look(5_340, 5_370, 100_000)
    expect(asked(questions)).toEqual([[5_000, 100], [5_100, 200], [4_800, 200], [5_300, 100]])
    expect(questions.map(({ signal }) => signal.aborted)).toEqual([false, false, true, false])
  })

  it('asks for no page twice', async () => {
    const { cache, questions } = byHand()
    cache.look(500, 530, 100_000)
    cache.look(400, 690, 100_000)
    expect(asked(questions)).toEqual([[500, 100], [400, 100], [600, 100]])
    for (const question of questions.slice()) await question.answer()
    cache.look(200, 1_090, 100_000)
    expect(asked(questions.slice(3))).toEqual([[700, 200], [200, 200], [900, 200]])
  })

  it('reads what has failed when somebody looks again, not at once', async () => {
    const { cache, questions, failures } = byHand()
    cache.look(500, 530, 1_000)
    await questions[0]?.fail()
    expect(failures.length).toBe(1)
    expect(asked(questions)).toEqual([[500, 100]])
    cache.look(501, 531, 1_000)
    expect(asked(questions)).toEqual([[500, 100], [500, 100]])
    await questions[1]?.answer()
    await questions[2]?.fail()
    await questions[3]?.fail()
    expect(failures.length).toBe(3)
    expect(asked(questions.slice(2))).toEqual([[600, 200], [300, 200]])
  })

  it.each(['is superseded', 'fails'])('keeps no row of another order when the first reading in the new one %s', async (how) => {
    const { cache, questions } = byHand()
    cache.look(0, 30, 200)
    await questions[0]?.answer('old')
    await questions[1]?.answer('old')
    expect(cache.at(150)?.id).toBe('old 150')
    void cache.reload(true)
    if (how === 'fails') await questions[2]?.fail()
    void cache.reload(false)
    expect(cache.at(150)?.id, 'nothing is blank meanwhile').toBe('old 150')
    await questions[3]?.answer('new')
    expect(cache.at(50)?.id).toBe('new 50')
    expect(cache.at(150)).toBeUndefined()
    expect(cache.placeOf('old 150')).toBeUndefined()
    await questions[4]?.answer('new')
    expect(cache.at(150)?.id).toBe('new 150')
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
