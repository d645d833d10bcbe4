import { describe, expect, it } from 'vitest'
import { axisOf } from './axes'
import { heatMap } from './heat'
import { means, mix, parallelOption, ranks, shapeOf, sliceOption } from './plots'

const theme = { text: '#000000', soft: '#111111', line: '#222222', card: '#333333', accent: '#444444', dark: false }
const layers = axisOf('layers', [1, 2, 1, 2])
const rate = axisOf('learningRate', [0.1, 0.1, 0.1, 0.2])
const metric = axisOf('accuracy', [0.5, 0.7, 0.6, 0.9], 1)
const all = [0, 1, 2, 3]

describe('ranks', () => {
  it('are 1 for the best, whichever way that is', () => {
    expect(ranks([3, 1, 2, 3], true)).toEqual([1, 0, 0.5, 1])
    expect(ranks([3, 1, 2], false)).toEqual([0, 1, 0.5])
    expect(ranks([5, 5], true)).toEqual([1, 1])
  })
})

describe('parallelOption', () => {
  it('has an axis each, the metric last, and the best line on top', () => {
    const option = parallelOption([layers, rate], metric, true, theme) as { parallelAxis: { id: string }[]; series: { data: { name: string; value: number[] }[] }[] }
    expect(option.parallelAxis.map(({ id }) => id)).toEqual(['layers', 'learningRate', 'accuracy'])
    expect(option.series[0]?.data.map(({ name }) => name)).toEqual(['0', '2', '1', '3'])
    expect(option.series[0]?.data.at(-1)?.value).toEqual([1, 1, 0.9])
  })
})

describe('sliceOption', () => {
  it('puts what is chosen in front of the rest', () => {
    const { series } = sliceOption(layers, metric, [1, 3], ['a', 'b', 'c', 'd'], theme) as { series: { data: { name: string }[] }[] }
    expect(series.map(({ data }) => data.length)).toEqual([2, 2, 1])
    expect(series[1]?.data.map(({ name }) => name)).toEqual(['b', 'd'])
  })

  it('has the means of what is chosen', () => {
    expect(means(layers, metric, all)).toEqual([[0, 0.55], [1, expect.closeTo(0.8)]])
    expect(means(layers, metric, [0])).toEqual([[0, 0.5]])
  })
})

describe('heatMap', () => {
  it('has the best or the mean of each cell, rows upwards, and holes', () => {
    const best = heatMap(layers, rate, metric, all, 'best', true)
    expect([best.columns, best.rows]).toEqual([['1', '2'], ['0.2', '0.1']])
    expect(best.cells.map((row) => row.map((cell) => cell?.value ?? null))).toEqual([[null, 0.9], [0.6, 0.7]])
    expect(best.cells[0]?.[1]).toEqual({ value: 0.9, count: 1, goodness: 1, isBest: true })
    expect(best.cells[1]?.[0]?.goodness).toBe(0)
    expect(heatMap(layers, rate, metric, all, 'mean', true).cells[1]?.[0]).toMatchObject({ value: 0.55, count: 2 })
    expect(heatMap(layers, rate, metric, all, 'best', false).cells[1]?.[0]).toMatchObject({ value: 0.5, goodness: 1 })
  })

  it('has no best where all are equal', () => {
    const { cells } = heatMap(layers, rate, axisOf('accuracy', [0.5, 0.5, 0.5, 0.5], 1), all, 'best', true)
    expect(cells.flat().map((cell) => cell?.isBest ?? null)).toEqual([null, false, false, false])
  })

  it('takes an axis of many values in ranges that hold both ends', () => {
    const values = Array.from({ length: 30 }, (_, place) => place)
    const many = heatMap(axisOf('filters', values), axisOf('layers', values.map((value) => value % 2)), axisOf('accuracy', values, 1), values, 'best', true)
    expect(many.columns).toHaveLength(6)
    expect(many.columns[0]).toBe('0 – 4.83')
    expect(many.cells.flat().reduce((sum, cell) => sum + (cell?.count ?? 0), 0)).toBe(30)
  })
})

describe('shapeOf', () => {
  it('is the same while the axes are, so that a chart with news keeps what people did to it', () => {
    const now = shapeOf(parallelOption([layers, rate], metric, true, theme))
    expect(shapeOf(parallelOption([axisOf('layers', [1, 2, 3, 4]), rate], metric, false, theme))).toBe(now)
    expect(shapeOf(parallelOption([rate, layers], metric, true, theme))).not.toBe(now)
  })

  it('has every series known by an id', () => {
    const { series } = sliceOption(layers, metric, all, ['a', 'b', 'c', 'd'], theme) as { series: { id?: string }[] }
    expect(series.map(({ id }) => id)).toEqual(['others', 'chosen', 'means'])
  })
})

describe('mix', () => {
  it('goes from one colour to the other', () => expect([mix('#000000', '#ff8000', 0), mix('#000000', '#ff8000', 0.5)]).toEqual(['rgb(0, 0, 0)', 'rgb(128, 64, 0)']))
})
