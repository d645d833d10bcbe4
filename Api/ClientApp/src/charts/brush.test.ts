import { describe, expect, it } from 'vitest'
import { axisOf } from './axes'
import { between, chosen, ends, read, write } from './brush'

const layers = axisOf('layers', [1, 2, 4, 1])
const rate = axisOf('learningRate', [0.001, 0.01, 0.1, 0.5, ...Array.from({ length: 12 }, (_, place) => 10 ** (-4 + place / 4))])
const four = [layers, axisOf('accuracy', [0.5, 0.6, 0.7, 0.8], 1)]

describe('chosen', () => {
  it('keeps what every range lets through', () => {
    expect(chosen(4, four, {})).toEqual([0, 1, 2, 3])
    expect(chosen(4, four, { layers: [-0.2, 1.2] })).toEqual([0, 1, 3])
    expect(chosen(4, four, { layers: [-0.2, 1.2], accuracy: [0.55, 0.9] })).toEqual([1, 3])
    expect(chosen(4, four, { layers: [0.2, 0.8] })).toEqual([])
    expect(chosen(4, four, { unknown: [0, 0] })).toHaveLength(4)
  })
})

describe('addresses', () => {
  it('keep ranges by the values that they hold', () => {
    const brush = { layers: [0.7, 2.1] as const, accuracy: [0.6, 0.7] as const }
    const text = write(brush, four)
    expect(text).toMatch(/^layers:2\.\.4,accuracy:0\.\d+\.\.0\.7\d*$/)
    expect(chosen(4, four, read(text, four))).toEqual(chosen(4, four, brush))
    expect(write(read(text, four), four)).toBe(text)
  })

  it('survive ends below 0, small and large numbers', () => {
    expect(rate.kind).toBe('log')
    const text = write({ learningRate: [-3, -1] }, [rate])
    const [from, to] = read(text, [rate]).learningRate ?? [0, 0]
    expect(from).toBeLessThanOrEqual(-3)
    expect(from).toBeCloseTo(-3, 3)
    expect(to).toBeGreaterThanOrEqual(-1)
    expect(to).toBeCloseTo(-1, 3)
  })

  it('leave out what is not there, or no range', () => {
    expect(read('', four)).toEqual({})
    expect(read('colour:1..2,layers:3..4,layers:4..1,accuracy:x..1,nonsense', four)).toEqual({})
    expect(write({ layers: [0.2, 0.8] }, four)).toBe('')
  })
})

describe('between', () => {
  it('is undone by ends', () => {
    const range = between(layers, '2', '4')
    expect(range && ends(layers, range)).toEqual(['2', '4'])
    expect(between(layers, '4', '2')).toBeNull()
    expect(between(rate, '', '1')).toBeNull()
    expect(between(rate, '0', '1')).toBeNull()
  })
})
