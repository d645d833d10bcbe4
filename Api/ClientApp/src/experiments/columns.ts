import type { Schemas } from '@/api/client'
import type { paths } from '@/api/schema'
import { count, duration, number, parameter, percent, spaced, time } from '@/api/words'

export type Row = Schemas['ExperimentResponse'] & Partial<Schemas['LiveExperiment']>

/** What the service sorts and filters by. */
export type Sort = NonNullable<NonNullable<paths['/api/models/{id}/experiments']['get']['parameters']['query']>['sort']>

/** What the page makes of several members, or of one that nobody sorts by. */
type Shown = 'bestAccuracy' | 'epoch' | 'progress' | 'id'

export type ColumnName = Sort | Shown

export interface Column {
  name: ColumnName
  title: string
  /** Pixels; the widest that are shown share what is left. */
  width: number
  right: boolean
  kind: 'number' | 'text' | 'time'
  /** Null where the service doesn't sort by it. */
  sort: Sort | null
  text: (row: Row) => string
}

type Spec = Partial<Omit<Column, 'name'>>

const tried = (name: keyof Schemas['ExperimentParameters'], spec: Spec = {}): Spec => ({
  text: (row) => (typeof row.parameters[name] === 'number' && name === 'steps' ? count(row.parameters[name]) : parameter(row.parameters[name])),
  ...spec,
})
const words: Spec = { kind: 'text', right: false }
const moment = (name: 'createdAt' | 'startedAt' | 'finishedAt', title: string): Spec => ({ title, kind: 'time', right: false, width: 130, text: (row) => time(row[name]) })

// Every column that the service has: the compiler says which one is missing.
const specs: Record<ColumnName, Spec> = {
  number: { title: '#', width: 64, text: (row) => count(row.number) },
  name: { ...words, width: 240, text: (row) => row.name },
  tags: { ...words, width: 140, text: (row) => row.tags.join(', ') },
  status: { ...words, width: 130, text: (row) => row.status },
  learningRate: tried('learningRate', { width: 112 }),
  layers: tried('layers', { width: 78, text: (row) => (row.parameters.architecture === 'cnn' ? String(row.parameters.layers) : '–') }),
  steps: tried('steps', { width: 84 }),
  accuracy: { text: (row) => percent(row.accuracy) },
  testAccuracy: { text: (row) => percent(row.testAccuracy) },
  bestAccuracy: { text: (row) => percent(row.bestAccuracy), sort: null },
  loss: { width: 90, text: (row) => number(row.loss) },
  meanSquaredError: { width: 150, text: (row) => number(row.meanSquaredError) },
  durationSeconds: { title: 'Time', width: 96, text: (row) => duration(row.durationSeconds) },
  savedSeconds: { title: 'Time shared', text: (row) => duration(row.savedSeconds) },
  epoch: { width: 80, text: (row) => row.epoch.toFixed(1), sort: null },
  progress: { ...words, width: 330, text: () => '', sort: null },
  batchSize: tried('batchSize'),
  optimizer: tried('optimizer', words),
  momentum: tried('momentum'),
  weightDecay: tried('weightDecay', { width: 116 }),
  dropout: tried('dropout', { width: 86 }),
  filters: tried('filters', { width: 76 }),
  kernelSize: tried('kernelSize'),
  denseUnits: tried('denseUnits'),
  architecture: tried('architecture', { ...words, width: 116 }),
  seed: tried('seed', { width: 72 }),
  schedule: tried('schedule', words),
  decayEvery: tried('decayEvery'),
  decayFactor: tried('decayFactor', { width: 112 }),
  warmUpSteps: tried('warmUpSteps', { width: 122 }),
  augmentShift: tried('augmentShift', { width: 120 }),
  augmentRotate: tried('augmentRotate', { width: 126 }),
  augmentScale: tried('augmentScale', { width: 120 }),
  classWeights: tried('classWeights', { ...words, width: 120 }),
  patience: tried('patience', { width: 90 }),
  patienceMetric: tried('patienceMetric', { ...words, width: 126 }),
  precision: tried('precision', words),
  priority: { width: 80, text: (row) => count(row.priority) },
  worker: { ...words, width: 140, text: (row) => row.worker ?? '' },
  error: { ...words, width: 240, text: (row) => row.error ?? '' },
  createdAt: moment('createdAt', 'Created'),
  startedAt: moment('startedAt', 'Started'),
  finishedAt: moment('finishedAt', 'Finished'),
  id: { ...words, width: 84, text: (row) => row.id.slice(-6), sort: null },
}

const titled = (name: string): string => name.charAt(0).toUpperCase() + spaced(name.slice(1))

/** All there are, in the order in which they stand in the table. */
export const columns: readonly Column[] = (Object.keys(specs) as ColumnName[]).map((name) => ({
  name,
  title: titled(name),
  width: 106,
  right: true,
  kind: 'number',
  sort: name as Sort,
  text: () => '',
  ...specs[name],
}))

export const usualColumns: readonly ColumnName[] = ['number', 'name', 'status', 'learningRate', 'layers', 'steps', 'accuracy', 'loss', 'durationSeconds', 'progress', 'id']

/** Those that a link names, in the table's order; the usual ones where it names none that there is. */
export function chosenColumns(names: string | null | undefined): readonly Column[] {
  const wanted = new Set((names ?? '').split(','))
  const found = columns.filter(({ name }) => wanted.has(name))
  return found.length > 0 ? found : columns.filter(({ name }) => usualColumns.includes(name))
}
