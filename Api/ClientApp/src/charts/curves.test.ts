import { describe, expect, it } from 'vitest'
import { append, curveOption, lastOfAll, points } from './curves'

const colours = { text: '#000', soft: '#111', line: '#222', train: '#333', validation: '#444' }

describe('append', () => {
  it('takes what is new, once, and keeps the rest', () => {
    const before = { loss: [{ step: 100, value: 0.5 }], accuracy: [{ step: 100, value: 0.8 }] }
    expect(append(before, { loss: [{ step: 100, value: 0.5 }, { step: 200, value: 0.4 }], validationLoss: [{ step: 100, value: 0.6 }] })).toEqual({
      loss: [{ step: 100, value: 0.5 }, { step: 200, value: 0.4 }],
      accuracy: [{ step: 100, value: 0.8 }],
      validationLoss: [{ step: 100, value: 0.6 }],
    })
    expect(before.loss).toHaveLength(1)
  })
})

describe('lastOfAll', () => {
  it('is where the shortest curve ends, so that nothing is left out of it', () => {
    expect(lastOfAll({})).toBe(0)
    expect(lastOfAll({ loss: [{ step: 100, value: 1 }, { step: 200, value: 1 }], validationLoss: [{ step: 100, value: 1 }] })).toBe(100)
    expect(lastOfAll({ loss: [{ step: 100, value: 1 }], extra: [] })).toBe(0)
  })
})

describe('curveOption', () => {
  it('breaks the line where there is no number, and shows both curves', () => {
    expect(points([{ step: 1, value: null }, { step: 2, value: 3 }])).toEqual([[1, null], [2, 3]])
    const option = curveOption('Loss', [{ step: 1, value: 2 }], undefined, true, colours) as { yAxis: { type: string }; series: { name: string; data: unknown[] }[] }
    expect(option.yAxis.type).toBe('log')
    expect(option.series.map(({ name, data }) => [name, data])).toEqual([['training', [[1, 2]]], ['validation', []]])
  })
})
