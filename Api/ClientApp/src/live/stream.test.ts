import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { liveState, useLive } from './stream'

class FakeSource extends EventTarget {
  static readonly CLOSED = 2
  static opened: FakeSource[] = []
  readyState = 1
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null

  constructor(readonly url: string) {
    super()
    FakeSource.opened.push(this)
  }

  close(): void {
    this.readyState = FakeSource.CLOSED
  }

  send(name: string, data: unknown, lastEventId: string): void {
    this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data), lastEventId }))
  }
}

describe('useLive', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    FakeSource.opened = []
    vi.stubGlobal('EventSource', FakeSource)
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('gives only the newest state of an experiment that changed often', () => {
    const experiments = vi.fn()
    const scope = effectScope()
    scope.run(() => useLive('/api/events', { experiments }))
    FakeSource.opened[0]?.send('experiment', { id: 'a', step: 1 }, '1')
    FakeSource.opened[0]?.send('experiment', { id: 'a', step: 2 }, '2')
    vi.advanceTimersByTime(300)
    expect(experiments.mock.calls).toEqual([[[{ id: 'a', step: 2 }]]])
    scope.stop()
    expect(FakeSource.opened[0]?.readyState).toBe(FakeSource.CLOSED)
  })

  it('comes back after a refusal, from the last event on', () => {
    const scope = effectScope()
    scope.run(() => useLive('/api/events', {}))
    const first = FakeSource.opened[0]
    first?.onopen?.()
    expect(liveState.value).toBe('live')
    first?.send('deleted', { id: 'a' }, '17')
    first?.close()
    first?.onerror?.()
    expect(liveState.value).toBe('lost')
    vi.advanceTimersByTime(3_000)
    expect(FakeSource.opened.map((source) => source.url)).toEqual(['/api/events', '/api/events?lastEventId=17'])
    scope.stop()
    expect(liveState.value).toBe('off')
  })

  it('asks for everything again when too much has changed', () => {
    const resync = vi.fn()
    const scope = effectScope()
    scope.run(() => useLive('/api/events', { resync }))
    FakeSource.opened[0]?.send('resync', { detail: '' }, '3')
    expect(resync).toHaveBeenCalledOnce()
    scope.stop()
  })
})
