import { effectScope, ref, type EffectScope } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { secondsPerStep, useChosen } from './runs'

const service = vi.hoisted(() => ({ step: 100, isAway: false, calls: [] as string[] }))

vi.mock('@/reporting', () => ({ useReporting: () => ({ failed: () => service.calls.push('failed') }) }))
vi.mock('@/api/client', () => ({
  ApiError: class extends Error {},
  answer: async (call: Promise<unknown>) => call,
  api: {
    GET: async (address: string, { params: { path: { id }, query: { after } = { after: 0 } } }: { params: { path: { id: string }; query?: { after: number } } }) => {
      if (service.isAway) throw new Error('away')
      if (!address.endsWith('/metrics')) return { id, name: id, step: service.step, trajectoryId: 't', durationSeconds: null }
      service.calls.push(`${id} after ${after}`)
      return { curves: { loss: [{ step: service.step, value: 1 }].filter(({ step }) => step > after) } }
    },
  },
}))

let scope: EffectScope
beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
  Object.assign(service, { step: 100, isAway: false, calls: [] })
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

const start = async (): Promise<ReturnType<typeof useChosen>> => {
  const all = scope.run(() => useChosen(ref(['a', 'b'])))
  if (!all) throw new Error('The scope has ended.')
  await vi.advanceTimersByTimeAsync(0)
  return all
}

describe('useChosen', () => {
  it('reads again what the news name, from where its curves end', async () => {
    const { chosen, news } = await start()
    expect(chosen.value.map(({ id }) => id)).toEqual(['a', 'b'])
    service.step = 200
    news(['b', 'unknown'])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(service.calls).toEqual(['a after 0', 'b after 0', 'b after 100'])
    expect(chosen.value.map(({ curves }) => curves.loss?.map(({ step }) => step))).toEqual([[100], [100, 200]])
  })

  it('reads whole what began anew', async () => {
    const { chosen, news } = await start()
    service.step = 50
    news(['a'])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(chosen.value[0]?.curves.loss?.map(({ step }) => step)).toEqual([50])
  })

  it('keeps what it has while the service is away, says so once, and goes on when it is back', async () => {
    const { chosen, news } = await start()
    service.isAway = true
    news(['a'])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(chosen.value).toHaveLength(2)
    expect(service.calls.filter((call) => call === 'failed')).toHaveLength(1)
    Object.assign(service, { isAway: false, step: 300 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(chosen.value[0]?.curves.loss?.at(-1)?.step).toBe(300)
    news(['a'])
    service.step = 400
    await vi.advanceTimersByTimeAsync(2_000)
    expect(chosen.value[0]?.curves.loss?.at(-1)?.step).toBe(400)
  })
})

describe('secondsPerStep', () => {
  it('is over the steps that were trained', () => {
    expect(secondsPerStep({ durationSeconds: 50, step: 100 })).toBe(0.5)
    expect(secondsPerStep({ durationSeconds: 50, step: 0 })).toBeNull()
    expect(secondsPerStep({ durationSeconds: null, step: 100 })).toBeNull()
  })
})
