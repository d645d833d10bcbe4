import type { Schemas } from '@/api/client'
import { duration, number, percent } from '@/api/words'
import type { Points } from '@/charts/axes'

export type Metric = 'accuracy' | 'testAccuracy' | 'loss' | 'meanSquaredError' | 'durationSeconds'

export const metrics: { value: Metric; label: string; isHigherBetter: boolean }[] = [
  { value: 'accuracy', label: 'accuracy', isHigherBetter: true },
  { value: 'testAccuracy', label: 'test accuracy', isHigherBetter: true },
  { value: 'loss', label: 'loss', isHigherBetter: false },
  { value: 'meanSquaredError', label: 'mean squared error', isHigherBetter: false },
  { value: 'durationSeconds', label: 'training time', isHigherBetter: false },
]

export const metricOf = (text: string): Metric => metrics.find(({ value }) => value === text)?.value ?? 'accuracy'

export const labelOf = (metric: string): string => metrics.find(({ value }) => value === metric)?.label ?? metric

export function show(metric: string, value: number | null | undefined): string {
  if (metric === 'accuracy' || metric === 'testAccuracy') return percent(value)
  return metric === 'durationSeconds' ? duration(value) : number(value)
}

type Experiment = Schemas['ExperimentResponse']

/** An experiment's parameters, those that are one value each. */
export const parametersOf = (experiment: Experiment): [string, number | string][] =>
  Object.entries(experiment.parameters).flatMap(([name, value]): [string, number | string][] => (typeof value === 'number' || typeof value === 'string' ? [[name, value]] : []))

/** Experiments, of one model or several, as points over the parameters in which they differ; best first. */
export function pointsOf(experiments: readonly Experiment[], metric: Metric): Points {
  const isHigherBetter = metrics.find(({ value }) => value === metric)?.isHigherBetter ?? true
  const measured = experiments
    .flatMap((experiment) => (typeof experiment[metric] === 'number' ? [{ experiment, value: experiment[metric] }] : []))
    .sort((one, other) => (isHigherBetter ? other.value - one.value : one.value - other.value))
  const tables = measured.map(({ experiment }) => Object.fromEntries(parametersOf(experiment)))
  const parameters = Object.keys(tables[0] ?? {}).flatMap((name) => {
    const values = tables.map((table) => table[name] ?? '')
    if (new Set(values).size < 2) return []
    return [values.every((value) => typeof value === 'number') ? { name, numbers: values, words: null } : { name, numbers: null, words: values.map(String) }]
  })
  const models = new Set(measured.map(({ experiment }) => experiment.modelId))
  return {
    metric,
    direction: isHigherBetter ? 'maximize' : 'minimize',
    ids: measured.map(({ experiment }) => experiment.id),
    numbers: measured.map(({ experiment }) => experiment.number),
    names: measured.map(({ experiment }) => experiment.name),
    values: measured.map(({ value }) => value),
    parameters: models.size > 1 ? [{ name: 'model', numbers: null, words: measured.map(({ experiment }) => experiment.modelName) }, ...parameters] : parameters,
  }
}

export interface Difference {
  name: string
  values: (number | string | null)[]
  differs: boolean
}

/** Every parameter, one value an experiment, and whether they differ in it. */
export function differences(experiments: readonly Experiment[]): Difference[] {
  const tables = experiments.map((experiment) => new Map(parametersOf(experiment)))
  const names = [...new Set(tables.flatMap((table) => [...table.keys()]))]
  return names.map((name) => {
    const values = tables.map((table) => table.get(name) ?? null)
    return { name, values, differs: new Set(values).size > 1 }
  })
}
