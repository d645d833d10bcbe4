import { onScopeDispose, readonly, ref, toValue, watch, type MaybeRefOrGetter } from 'vue'
import type { Schemas } from '@/api/client'

export type LiveState = 'off' | 'connecting' | 'live' | 'lost'

export interface LiveHandlers {
  /** The newest state of each experiment that changed, several times a second at most. */
  experiments?: (changed: Schemas['LiveExperiment'][]) => void
  deleted?: (deletion: Schemas['LiveDeletion']) => void
  /** What is shown has to be read again. */
  resync?: () => void
}

const FlushEvery = 250
const TryAgainAfter = 3_000

const state = ref<LiveState>('off')

/** Of the page that is open, for everybody to see. */
export const liveState = readonly(state)

/**
 * One stream of events for as long as the page is open. The browser comes back by itself with the id of the last event; where the service refused
 * to answer, or is away for longer, this does.
 */
export function useLive(address: MaybeRefOrGetter<string | null>, handlers: LiveHandlers): void {
  let source: EventSource | undefined
  let lastEventId = ''
  let waiting: ReturnType<typeof setTimeout> | undefined
  let flushing: ReturnType<typeof setTimeout> | undefined
  const changed = new Map<string, Schemas['LiveExperiment']>()

  function close(): void {
    source?.close()
    source = undefined
    clearTimeout(waiting)
    clearTimeout(flushing)
    flushing = undefined
    changed.clear()
  }

  function flush(): void {
    flushing = undefined
    const experiments = [...changed.values()]
    changed.clear()
    handlers.experiments?.(experiments)
  }

  function on<T>(stream: EventSource, name: string, handle: (data: T) => void): void {
    stream.addEventListener(name, (event: MessageEvent<string>) => {
      if (event.lastEventId) lastEventId = event.lastEventId
      handle(JSON.parse(event.data) as T)
    })
  }

  function open(path: string): void {
    const stream = new EventSource(lastEventId ? `${path}?lastEventId=${encodeURIComponent(lastEventId)}` : path)
    source = stream
    stream.onopen = () => (state.value = 'live')
    stream.onerror = () => {
      state.value = 'lost'
      if (stream.readyState !== EventSource.CLOSED) return
      stream.close()
      waiting = setTimeout(() => open(path), TryAgainAfter)
    }
    on<Schemas['LiveExperiment']>(stream, 'experiment', (experiment) => {
      changed.set(experiment.id, experiment)
      flushing ??= setTimeout(flush, FlushEvery)
    })
    on<Schemas['LiveDeletion']>(stream, 'deleted', (deletion) => {
      changed.delete(deletion.id)
      handlers.deleted?.(deletion)
    })
    on<Schemas['LiveResync']>(stream, 'resync', () => handlers.resync?.())
  }

  watch(
    () => toValue(address),
    (path) => {
      close()
      lastEventId = ''
      state.value = path ? 'connecting' : 'off'
      if (path) open(path)
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    close()
    state.value = 'off'
  })
}
