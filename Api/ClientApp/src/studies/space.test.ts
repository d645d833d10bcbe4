import { describe, expect, it } from 'vitest'
import { dimensionsFixedAt, dimensionsOf, errorOf, shownParameters, toRequest, usualDimensions } from './space'

describe('toRequest', () => {
  it('writes the default 27 as they are', () => {
    expect(toRequest(usualDimensions())).toEqual({
      space: { learningRate: [0.001, 0.01, 0.1], layers: [1, 2, 4], steps: [1000, 2000, 4000] },
      fixed: {},
    })
  })

  it('writes fixed values, texts and ranges, and leaves what is no number to the service', () => {
    const dimensions = usualDimensions().map((dimension) => {
      if (dimension.name === 'learningRate') return { ...dimension, mode: 'range' as const, min: '1e-4', max: '0.1', count: '4' }
      if (dimension.name === 'layers') return { ...dimension, mode: 'fixed' as const, values: ' 2 ' }
      if (dimension.name === 'optimizer') return { ...dimension, mode: 'choices' as const, values: 'adam; sgd' }
      return dimension.name === 'steps' ? { ...dimension, values: '100 many' } : dimension
    })
    expect(toRequest(dimensions)).toEqual({
      space: { learningRate: { min: 0.0001, max: 0.1, scale: 'log', count: 4 }, steps: [100, 'many'], optimizer: ['adam', 'sgd'] },
      fixed: { layers: 2 },
    })
  })
})

describe('errorOf', () => {
  it('finds what is said of a parameter and not of another', () => {
    const fields = { 'space.steps[1]': 'steps is a whole number.', 'fixed.layers': 'layers is 1 to 8.', replicates: 'replicates is 1 to 100.' }
    expect(errorOf(fields, 'steps')).toBe('steps is a whole number.')
    expect(errorOf(fields, 'layers')).toBe('layers is 1 to 8.')
    expect(errorOf(fields, 'step')).toBe('')
  })
})

describe('dimensionsOf', () => {
  it('gives back the request that the study was made of', () => {
    const definition = { space: { learningRate: [0.001, 0.01], optimizer: ['adam', 'sgd'] }, fixed: { layers: 2, steps: 500 } }
    expect(toRequest(dimensionsOf(definition))).toEqual(definition)
  })
})

describe('dimensionsFixedAt', () => {
  it('fixes what is not as usual, and leaves the rest to be varied', () => {
    expect(toRequest(dimensionsFixedAt({ learningRate: 0.001, layers: 2, steps: 4000, batchSize: 64, dropout: 0.25, optimizer: 'adam' }))).toEqual({
      space: {},
      fixed: { learningRate: 0.001, layers: 2, steps: 4000, dropout: 0.25 },
    })
  })
})

describe('shownParameters', () => {
  it('leaves out what is seldom changed and was not', () => {
    const values = { learningRate: 0.001, dropout: 0.5, schedule: 'constant', decayEvery: 1000, patience: 5, precision: 'float32', learningRateChanges: [{ step: 10, learningRate: 0.1 }] }
    expect(shownParameters(values)).toEqual([['learningRate', 0.001], ['dropout', 0.5], ['patience', 5]])
    expect(shownParameters({ ...values, precision: 'bfloat16' })).toContainEqual(['precision', 'bfloat16'])
  })
})
