import { describe, expect, it } from 'vitest'
import { shade, share, sorted, type ClassResult } from './classes'

const of = (label: string, support: number, f1: number): ClassResult => ({ label, support, predicted: 0, right: 0, precision: 0, recall: 0, f1 })

describe('sorted', () => {
  const classes = [of('10', 5, 0.5), of('9', 7, 0.9), of('cat', 5, 0.5)]
  const labels = (list: ClassResult[]): string[] => list.map(({ label }) => label)

  it('sorts by any column, and leaves equal ones and the list itself as they were', () => {
    expect(labels(sorted(classes, 'label', false))).toEqual(['9', '10', 'cat'])
    expect(labels(sorted(classes, 'f1', false))).toEqual(['10', 'cat', '9'])
    expect(labels(sorted(classes, 'support', true))).toEqual(['9', '10', 'cat'])
    expect(labels(classes)).toEqual(['10', '9', 'cat'])
  })
})

describe('shades', () => {
  it('shows the rare and keeps the full readable', () => {
    expect(share(3, [1, 3, 0])).toBe(0.75)
    expect(share(0, [0, 0])).toBe(0)
    expect(shade(0)).toBe(0)
    expect(shade(0.0001)).toBeGreaterThanOrEqual(6)
    expect(shade(1)).toBeLessThanOrEqual(42)
  })
})
