import { onScopeDispose, shallowRef, watch, type Ref } from 'vue'
import { ApiError, answer, api, type Schemas } from '@/api/client'
import { append, lastOfAll } from '@/charts/curves'
import type { Run } from '@/charts/overlay'
import { useReporting } from '@/reporting'
import { paced } from './pace'

export interface Chosen extends Run {
  experiment: Schemas['ExperimentDetail']
}

const PointsEach = 500
const AtLeast = 2_000
const AtOnce = 4

/** An experiment that stopped early, or diverged, trained fewer steps than it was to. */
export const secondsPerStep = ({ durationSeconds, step }: Pick<Schemas['ExperimentDetail'], 'durationSeconds' | 'step'>): number | null =>
  durationSeconds == null || step === 0 ? null : durationSeconds / step

/** Whether what came since can go after what is there: the same training, further on, and not so often that it has become long. */
const goesOn = (before: Chosen, experiment: Schemas['ExperimentDetail']): boolean =>
  before.experiment.trajectoryId === experiment.trajectoryId && before.experiment.step <= experiment.step && Object.values(before.curves).every(({ length }) => length < 2 * PointsEach)

/** Chosen experiments with their curves, in the order in which they were chosen, and news of them. */
export function useChosen(ids: Ref<string[]>): { chosen: Ref<Chosen[]>; missing: Ref<string[]>; isReading: Ref<boolean>; news: (ids: readonly string[]) => void } {
  const { failed } = useReporting()
  const chosen = shallowRef<Chosen[]>([])
  const missing = shallowRef<string[]>([])
  const isReading = shallowRef(true)
  const known = new Map<string, Chosen | null>()
  const stale = new Set<string>()
  let isFailing = false

  async function readOne(id: string): Promise<void> {
    const path = { id }
    // Before it is read: news may come meanwhile.
    stale.delete(id)
    try {
      const experiment = await answer(api.GET('/api/experiments/{id}', { params: { path } }))
      const run = known.get(id)
      const before = run && goesOn(run, experiment) ? run.curves : {}
      const { curves } = await answer(api.GET('/api/experiments/{id}/metrics', { params: { path, query: { maxPoints: PointsEach, after: lastOfAll(before) } } }))
      known.set(id, { id, name: experiment.name, curves: append(before, curves), secondsPerStep: secondsPerStep(experiment), experiment })
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) {
        known.set(id, null)
        return
      }
      stale.add(id)
      throw error
    }
  }

  function show(): void {
    chosen.value = ids.value.flatMap((id) => known.get(id) ?? [])
    missing.value = ids.value.filter((id) => known.get(id) === null)
    isReading.value = ids.value.some((id) => !known.has(id))
  }

  const due = (): string[] => ids.value.filter((id) => !known.has(id) || stale.has(id))

  async function read(): Promise<boolean> {
    const left = due()
    const problems: unknown[] = []
    async function readNext(): Promise<void> {
      for (let id = left.shift(); id !== undefined; id = left.shift()) {
        await readOne(id).catch((error: unknown) => problems.push(error))
      }
    }
    await Promise.all(Array.from({ length: AtOnce }, readNext))
    show()
    // Said once, not at each try.
    if (problems.length > 0 && !isFailing) failed(problems[0])
    isFailing = problems.length > 0
    return !isFailing
  }

  const reading = paced(read, AtLeast)

  function news(changed: readonly string[]): void {
    for (const id of changed) if (known.get(id)) stale.add(id)
    if (ids.value.some((id) => stale.has(id))) reading.ask()
  }

  watch(() => ids.value.join(), () => {
    show()
    if (due().length > 0) reading.now()
  }, { immediate: true })
  onScopeDispose(reading.stop)
  return { chosen, missing, isReading, news }
}
