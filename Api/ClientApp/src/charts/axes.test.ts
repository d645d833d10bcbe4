import { describe, expect, it } from 'vitest'
import { axisOf, isLogarithmic, metricAxis, parameterAxes, short, type Points } from './axes'

const many = Array.from({ length: 20 }, (_, place) => place)

describe('axisOf', () => {
  it('spreads few values evenly, in their order, each with its label', () => {
    const axis = axisOf('learningRate', [0.1, 0.001, 0.01, 0.001])
    expect(axis.kind).toBe('ticks')
    expect(axis.title).toBe('learning rate')
    expect([0.001, 0.01, 0.1].map((value) => axis.position(value))).toEqual([0, 1, 2])
    expect([0, 0.5, 2, 3].map((at) => axis.label(at))).toEqual(['0.001', '', '0.1', ''])
    expect([axis.min, axis.max]).toEqual([-0.25, 2.25])
  })

  it('takes words in the order of the alphabet', () => {
    const axis = axisOf('optimizer', ['sgd', 'adam', 'sgd'])
    expect(axis.ticks).toEqual(['adam', 'sgd'])
    expect(axis.position('sgd')).toBe(1)
  })

  it('is logarithmic where values spread over decades', () => {
    const axis = axisOf('learningRate', many.map((place) => 10 ** (-5 + place / 5)))
    expect(axis.kind).toBe('log')
    expect(axis.position(0.01)).toBeCloseTo(-2)
    expect(axis.label(-2)).toBe('0.01')
  })

  it('is linear otherwise', () => {
    expect(axisOf('dropout', many.map((place) => place / 40)).kind).toBe('linear')
    expect(axisOf('filters', many.map((place) => 1 + place * 10)).kind).toBe('linear')
  })
})

describe('isLogarithmic', () => {
  it('never takes what is 0 or below, or within a decade', () => {
    expect(isLogarithmic([0, 0.001, 0.01])).toBe(false)
    expect(isLogarithmic([1, 2, 4])).toBe(false)
    expect(isLogarithmic([])).toBe(false)
  })
})

describe('points', () => {
  const points: Points = {
    metric: 'accuracy', direction: 'maximize', ids: ['a', 'b'], numbers: [1, 2], names: ['a', 'b'], values: [0.9, 0.8],
    parameters: [{ name: 'layers', numbers: [1, 2], words: null }, { name: 'optimizer', numbers: null, words: ['adam', 'sgd'] }],
  }

  it('become axes; the metric never has ticks', () => {
    expect(parameterAxes(points).map(({ name, ticks }) => [name, ticks])).toEqual([['layers', [1, 2]], ['optimizer', ['adam', 'sgd']]])
    expect(metricAxis(points)).toMatchObject({ kind: 'linear', min: 0.8, max: 0.9 })
  })
})

describe('short', () => {
  it('is as people write it', () => {
    expect([0, 0.00001, 0.001, 1000, 12345678].map(short)).toEqual(['0', '1e-5', '0.001', '1000', '1.23e7'])
  })
})
