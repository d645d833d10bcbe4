import { createApp, effectScope, nextTick, watch } from 'vue'
import { createMemoryHistory, createRouter } from 'vue-router'
import { describe, expect, it, vi } from 'vitest'
import { useAddress } from './address'

const nothing = { render: () => null }

describe('useAddress', () => {
  it('says and changes what its own page has, and nothing once the route is another', async () => {
    const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/analyse', component: nothing }, { path: '/other', component: nothing }] })
    const app = createApp(nothing).use(router)
    await router.push('/analyse?filter=layers')
    const { text } = app.runWithContext(() => useAddress())
    const filter = text('filter')
    const changed = vi.fn()
    const scope = effectScope()
    scope.run(() => watch(filter, changed))
    expect(filter.value).toBe('layers')

    filter.value = 'steps'
    await vi.waitFor(() => expect(filter.value).toBe('steps'))
    expect(changed).toHaveBeenCalledTimes(1)

    await router.push('/other')
    await nextTick()
    expect([filter.value, changed.mock.calls.length]).toEqual(['steps', 1])
    filter.value = 'late'
    await nextTick()
    await nextTick()
    expect(router.currentRoute.value.fullPath).toBe('/other')
    scope.stop()
  })
})
