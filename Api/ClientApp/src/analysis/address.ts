import { computed, type WritableComputedRef } from 'vue'
import { useRoute, useRouter, type LocationQuery } from 'vue-router'

/** Parts of the address's query, so that a link or a reload shows the same. What has its usual value is left out. */
export function useAddress(): { text: (name: string, usual?: string) => WritableComputedRef<string>; flag: (name: string) => WritableComputedRef<boolean> } {
  const route = useRoute()
  const router = useRouter()
  const here = route.path
  // On the way to another page, its address says nothing of this one.
  const query = computed<LocationQuery>((before) => (route.path === here ? route.query : (before ?? route.query)))
  // What is set in one go, before the router has got to it.
  let pending: Record<string, string | undefined> = {}

  function set(name: string, value: string | undefined): void {
    const isFirst = Object.keys(pending).length === 0
    pending[name] = value
    if (!isFirst) return
    void Promise.resolve().then(() => {
      const changes = pending
      pending = {}
      return route.path === here ? router.replace({ query: { ...route.query, ...changes } }) : undefined
    })
  }

  const text = (name: string, usual = ''): WritableComputedRef<string> =>
    computed({
      get: () => {
        const value = query.value[name]
        return typeof value === 'string' ? value : usual
      },
      set: (value) => set(name, value === usual ? undefined : value),
    })
  return {
    text,
    flag: (name) => computed({ get: () => query.value[name] === '1', set: (value) => set(name, value ? '1' : undefined) }),
  }
}
