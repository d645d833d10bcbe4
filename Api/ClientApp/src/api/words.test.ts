import { describe, expect, it } from 'vitest'
import { bytes, duration, number, percent, plural, spaced } from './words'

describe('words', () => {
  it('says shares as percent, and a dash for what is unknown', () => {
    expect(percent(0.98765)).toBe('98.77 %')
    expect(percent(null)).toBe('–')
  })

  it('says durations in the two largest units', () => {
    expect(duration(3.25)).toBe('3.3 s')
    expect(duration(75)).toBe('1 min 15 s')
    expect(duration(3_720)).toBe('1 h 2 min')
    expect(duration(200_000)).toBe('2 d 7 h')
  })

  it('keeps small numbers readable', () => {
    expect(number(0.00001)).toBe('1.00e-5')
    expect(number(0)).toBe('0.0000')
  })

  it('counts', () => {
    expect(plural(1, 'image')).toBe('1 image')
    expect(plural(70_000, 'image')).toBe('70,000 images')
    expect(bytes(0)).toBe('0 B')
    expect(bytes(1_572_864)).toBe('1.5 MB')
    expect(spaced('learningRate')).toBe('learning rate')
  })
})
