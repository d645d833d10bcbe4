import { describe, expect, it } from 'vitest'
import { ref } from 'vue'
import { useSelection } from './selection'

const list = Array.from({ length: 2_000 }, (_, place) => ({ id: `${place}` }))

const selectionOf = (loaded: (place: number) => boolean = () => true): ReturnType<typeof useSelection> =>
  useSelection({
    total: ref(list.length),
    placeOf: (id) => (loaded(Number(id)) ? Number(id) : undefined),
    read: (offset, limit) => Promise.resolve(list.slice(offset, offset + limit)),
  })

describe('useSelection', () => {
  it('chooses a range with all that lies in it, whichever end comes first', async () => {
    const selection = selectionOf()
    await selection.toggle('1200', false)
    await selection.toggle('3', true)
    expect(selection.count.value).toBe(1_198)
    expect(selection.has('600')).toBe(true)
    expect(selection.has('1201')).toBe(false)
  })

  it('takes a single one where the other end is not in the list any more', async () => {
    const selection = selectionOf((place) => place !== 5)
    await selection.toggle('5', false)
    await selection.toggle('9', true)
    expect([...selection.ids.value]).toEqual(['5', '9'])
  })

  it('counts all that meet the filter, and is empty after it is cleared', () => {
    const selection = selectionOf()
    selection.toggleAll()
    expect(selection.count.value).toBe(2_000)
    expect(selection.has('anything')).toBe(true)
    selection.clear()
    expect(selection.count.value).toBe(0)
  })

  it('clears some by the box of all', async () => {
    const selection = selectionOf()
    await selection.toggle('1', false)
    selection.toggleAll()
    expect(selection.count.value).toBe(0)
    expect(selection.isAll.value).toBe(false)
  })
})
