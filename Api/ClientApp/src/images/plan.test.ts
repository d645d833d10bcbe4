import { describe, expect, it } from 'vitest'
import { needsLabel, plan, type Chosen } from './plan'

const chosen = (...paths: string[]): Chosen[] => paths.map((path) => ({ path, file: new File(['x'], path.split('/').at(-1) ?? '') }))

describe('plan', () => {
  it('takes the folder as class, and what is above it as split', () => {
    const batches = plan(chosen('digits/test/7/a.png', 'digits/test/7/b.png', 'digits/8/c.png'))
    expect(batches.map(({ label, split, files }) => [label, split, files.length])).toEqual([
      ['7', 'test', 2],
      ['8', undefined, 1],
    ])
  })

  it('takes the label that was given for files without a folder', () => {
    expect(needsLabel(chosen('a.png'))).toBe(true)
    expect(plan(chosen('a.png'), 'cat')).toMatchObject([{ label: 'cat', bytes: 1 }])
  })

  it('sends a zip by itself, and IDX files together, without a label', () => {
    const files = chosen('one.zip', 'two.zip', 'train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz')
    expect(needsLabel(files)).toBe(false)
    expect(plan(files).map((batch) => [batch.label, batch.files.length])).toEqual([
      [undefined, 1],
      [undefined, 1],
      [undefined, 2],
    ])
  })

  it('cuts many files into requests', () => {
    expect(plan(chosen(...Array.from({ length: 450 }, (_, index) => `cat/${index}.png`))).map(({ files }) => files.length)).toEqual([200, 200, 50])
  })
})
