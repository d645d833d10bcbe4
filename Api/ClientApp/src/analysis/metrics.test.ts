import { describe, expect, it } from 'vitest'
import type { Schemas } from '@/api/client'
import { differences, metricOf, pointsOf, show } from './metrics'

const experiment = (id: string, modelId: string, accuracy: number | null, parameters: Record<string, unknown>): Schemas['ExperimentResponse'] =>
  ({ id, number: 1, name: id, modelId, modelName: `model ${modelId}`, accuracy, loss: accuracy === null ? null : 1 - accuracy, parameters }) as unknown as Schemas['ExperimentResponse']

const three = [
  experiment('a', '1', 0.8, { layers: 1, optimizer: 'adam', seed: 0, learningRateChanges: null }),
  experiment('b', '1', 0.9, { layers: 2, optimizer: 'adam', seed: 0 }),
  experiment('c', '2', null, { layers: 3, optimizer: 'sgd', seed: 0 }),
]

describe('pointsOf', () => {
  it('has what is measured, best first, over the parameters in which it differs', () => {
    expect(pointsOf(three, 'accuracy')).toMatchObject({ direction: 'maximize', ids: ['b', 'a'], values: [0.9, 0.8], parameters: [{ name: 'layers', numbers: [2, 1], words: null }] })
    expect(pointsOf(three, 'loss').ids).toEqual(['b', 'a'])
    expect(pointsOf([], 'loss').ids).toEqual([])
  })

  it('takes the model for a parameter where there are several', () => {
    const two = pointsOf([...three, experiment('d', '2', 0.7, { layers: 2, optimizer: 'sgd', seed: 0 })], 'accuracy')
    expect(two.parameters.map(({ name }) => name)).toEqual(['model', 'layers', 'optimizer'])
    expect(two.parameters[0]?.words).toEqual(['model 1', 'model 1', 'model 2'])
  })
})

describe('differences', () => {
  it('tells what differs', () => {
    expect(differences(three).map(({ name, differs }) => [name, differs])).toEqual([['layers', true], ['optimizer', true], ['seed', false]])
  })
})

describe('metrics', () => {
  it('are said in their own way', () => {
    expect([show('accuracy', 0.5), show('loss', 0.5), show('durationSeconds', 5), show('loss', null)]).toEqual(['50.00 %', '0.5000', '5.0 s', '–'])
    expect(metricOf('luck')).toBe('accuracy')
  })
})
