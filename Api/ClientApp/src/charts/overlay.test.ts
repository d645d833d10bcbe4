import { describe, expect, it } from 'vitest'
import { colourOf, curveNames, dashOf, lineOf, MaxRuns, overlayOption, type Run } from './overlay'
import { smooth } from './smooth'

const theme = { text: '#000', soft: '#111', line: '#222', card: '#333', accent: '#444', dark: false }
const run: Run = {
  id: 'a', name: 'one', secondsPerStep: 0.5,
  curves: { loss: [{ step: 10, value: 1 }, { step: 20, value: null }, { step: 30, value: 0 }], extra: [] },
}
const usual = { metric: 'loss', by: 'step', isLog: false, smoothing: 0 } as const

describe('smooth', () => {
  it('begins at the first value and follows the rest', () => {
    expect(smooth([[0, 4], [1, 4], [2, 4]], 0.9).map(([, y]) => y)).toEqual([4, 4, 4].map((y) => expect.closeTo(y)))
    // (0.5 * 0.5 * 0 + 0.5 * 1) / 0.75
    expect(smooth([[0, 0], [1, 1]], 0.5)[1]?.[1]).toBeCloseTo(2 / 3)
  })

  it('is the line itself without weight, and keeps gaps', () => {
    expect(smooth([[0, 1], [1, null], [2, 3]], 0)).toEqual([[0, 1], [1, null], [2, 3]])
  })
})

describe('lineOf', () => {
  it('is by step, or by mean time', () => {
    expect(lineOf(run, usual)).toEqual([[10, 1], [20, null], [30, 0]])
    expect(lineOf(run, { ...usual, by: 'time' })).toEqual([[5, 1], [10, null], [15, 0]])
    expect(lineOf({ ...run, secondsPerStep: null }, { ...usual, by: 'time' })).toEqual([])
  })

  it('has a gap where a logarithm has no value', () => {
    expect(lineOf(run, { ...usual, isLog: true })[2]).toEqual([30, null])
  })
})

describe('overlayOption', () => {
  const series = (smoothing: number): { id: string; silent?: boolean }[] => (overlayOption([run], { ...usual, smoothing }, theme) as { series: { id: string; silent?: boolean }[] }).series

  it('shows the raw line behind a smoothed one', () => {
    expect(series(0).map(({ id }) => id)).toEqual(['a'])
    expect(series(0.6).map(({ id, silent }) => [id, silent])).toEqual([['a raw', true], ['a', undefined]])
  })

  it('puts logarithms on a logarithmic axis, and says the values', () => {
    const { series: [line], yAxis } = overlayOption([run], { ...usual, isLog: true }, theme) as { series: { data: unknown[] }[]; yAxis: { axisLabel: { formatter: (at: number) => string } } }
    expect(line?.data).toEqual([[10, 0], [20, null], [30, null]])
    expect(yAxis.axisLabel.formatter(-2)).toBe('0.01')
  })

  it('draws every run in a way of its own', () => {
    const looks = Array.from({ length: MaxRuns }, (_, place) => `${colourOf(place, true)} ${dashOf(place)}`)
    expect(new Set(looks).size).toBe(MaxRuns)
  })
})

describe('colourOf', () => {
  const parts = (colour: string): number[] => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))

  it.each([false, true])('has no two much alike that share a dash (dark: %s)', (dark) => {
    const looks = Array.from({ length: MaxRuns }, (_, place) => ({ colour: parts(colourOf(place, dark)), dash: String(dashOf(place)) }))
    const apart = looks.flatMap((one, place) => looks.slice(place + 1).filter(({ dash }) => dash === one.dash).map(({ colour }) => Math.hypot(...colour.map((part, at) => part - (one.colour[at] ?? 0)))))
    expect(Math.min(...apart)).toBeGreaterThan(50)
  })
})

describe('curveNames', () => {
  it('has the usual ones, then others', () => expect(curveNames([run])).toEqual(['validationAccuracy', 'validationLoss', 'accuracy', 'loss', 'extra']))
})
