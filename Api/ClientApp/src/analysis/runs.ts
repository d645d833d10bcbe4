import { onScopeDispose, shallowRef, watch, type Ref } from 'vue'
import { ApiError, answer, api, type Schemas } from '@/api/client'
import type { Run } from '@/charts/overlay'
import { useReporting } from '@/reporting'

export interface Chosen extends Run {
  experiment: Schemas['ExperimentDetail']
}

const PointsEach = 500
const AtMostEvery = 2_000
const Open = ['draft', 'queued', 'running', 'paused']

/** Chosen experiments with their curves, in the order in which they were chosen, and news of those that aren't done. */
export function useChosen(ids: Ref<string[]>): { chosen: Ref<Chosen[]>; missing: Ref<string[]>; isReading: Ref<boolean>; news: (ids: readonly string[]) => void } {
  const { failed } = useReporting()
  const chosen = shallowRef<Chosen[]>([])
  const missing = shallowRef<string[]>([])
  const isReading = shallowRef(true)
  const known = new Map<string, Chosen | null>()
  let asked = 0
  let waiting: ReturnType<typeof setTimeout> | undefined

  async function readOne(id: string): Promise<void> {
    const path = { params: { path: { id } } }
    try {
      const [experiment, { curves }] = await Promise.all([
        answer(api.GET('/api/experiments/{id}', path)),
        answer(api.GET('/api/experiments/{id}/metrics', { params: { path: { id }, query: { maxPoints: PointsEach } } })),
      ])
      const secondsPerStep = experiment.durationSeconds == null || experiment.totalSteps === 0 ? null : experiment.durationSeconds / experiment.totalSteps
      known.set(id, { id, name: experiment.name, curves, secondsPerStep, experiment })
    } catch (error) {
      if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 400)) throw error
      known.set(id, null)
    }
  }

  async function read(): Promise<void> {
    const question = ++asked
    const wanted = ids.value
    isReading.value = true
    try {
      await Promise.all(wanted.filter((id) => !known.has(id)).map(readOne))
      if (question !== asked) return
      chosen.value = wanted.flatMap((id) => known.get(id) ?? [])
      missing.value = wanted.filter((id) => known.get(id) === null)
    } catch (error) {
      failed(error)
    } finally {
      if (question === asked) isReading.value = false
    }
  }

  function news(changed: readonly string[]): void {
    const there = changed.filter((id) => {
      const run = known.get(id)
      return run && Open.includes(run.experiment.status)
    })
    if (there.length === 0) return
    waiting ??= setTimeout(() => {
      waiting = undefined
      for (const run of chosen.value) if (Open.includes(run.experiment.status)) known.delete(run.id)
      void read()
    }, AtMostEvery)
  }

  watch(() => ids.value.join(), () => void read(), { immediate: true })
  onScopeDispose(() => clearTimeout(waiting))
  return { chosen, missing, isReading, news }
}
