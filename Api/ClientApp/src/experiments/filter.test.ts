import { describe, expect, it } from 'vitest'
import { comparison, joined } from './filter'

describe('comparison', () => {
  it('quotes texts and leaves numbers', () => {
    expect(comparison('name', 'text', '~', 'the "odd" one')).toBe('name ~ "the ""odd"" one"')
    expect(comparison('learningRate', 'number', '<', ' 0,01 ')).toBe('learningRate < 0.01')
  })
})

describe('joined', () => {
  it('puts brackets around an or before an and', () => {
    expect(joined('', 'and', 'layers = 2')).toBe('layers = 2')
    expect(joined('a = 1', 'and', 'b = 2')).toBe('a = 1 and b = 2')
    expect(joined('a = 1 or b = 2', 'and', 'c = 3')).toBe('(a = 1 or b = 2) and c = 3')
    expect(joined('a = 1', 'or', 'b = 2')).toBe('a = 1 or b = 2')
  })
})
