import { computed, ref, shallowRef, type ComputedRef, type Ref } from 'vue'

const MostRead = 500
/** A range of more is better chosen by a filter. */
const MostInRange = 5_000

interface Rows {
  total: Ref<number | undefined>
  placeOf: (id: string) => number | undefined
  read: (offset: number, limit: number) => Promise<readonly { id: string }[]>
}

export interface Selection {
  ids: Ref<ReadonlySet<string>>
  isAll: Ref<boolean>
  count: ComputedRef<number>
  has: (id: string) => boolean
  toggle: (id: string, isRange: boolean) => Promise<void>
  toggleAll: () => void
  clear: () => void
}

/** Which experiments are chosen: some by hand, or all that meet the filter, whether they are shown or not. */
export function useSelection({ total, placeOf, read }: Rows): Selection {
  const ids = shallowRef<ReadonlySet<string>>(new Set())
  const isAll = ref(false)
  const count = computed(() => (isAll.value ? (total.value ?? 0) : ids.value.size))
  let anchor = ''

  function clear(): void {
    ids.value = new Set()
    isAll.value = false
    anchor = ''
  }

  /** From the one that was chosen before to this one, in the order as it is now: rows that nobody has looked at are read. */
  async function idsOfRange(id: string): Promise<string[]> {
    const [one, other] = [placeOf(anchor), placeOf(id)]
    if (one === undefined || other === undefined) return [id]
    const [from, to] = [Math.min(one, other), Math.max(one, other)]
    if (to - from >= MostInRange) return [id]
    const found: string[] = []
    for (let offset = from; offset <= to; offset += MostRead) found.push(...(await read(offset, Math.min(MostRead, to - offset + 1))).map((row) => row.id))
    return found
  }

  async function toggle(id: string, isRange: boolean): Promise<void> {
    const checks = !ids.value.has(id)
    const range = isRange && anchor !== '' ? await idsOfRange(id) : [id]
    const next = new Set(ids.value)
    for (const each of range)
      if (checks) next.add(each)
      else next.delete(each)
    anchor = id
    ids.value = next
  }

  function toggleAll(): void {
    const checks = count.value === 0
    clear()
    isAll.value = checks
  }

  return { ids, isAll, count, has: (id) => isAll.value || ids.value.has(id), toggle, toggleAll, clear }
}
