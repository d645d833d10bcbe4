import type { Schemas } from '@/api/client'
import { numberOf } from '@/api/words'

export type Mode = 'default' | 'fixed' | 'choices' | 'range'

/** One hyper-parameter as it is being written: texts, as they stand in the fields. */
export interface Dimension {
  name: string
  mode: Mode
  values: string
  min: string
  max: string
  count: string
  scale: 'linear' | 'log'
}

export interface Parameter {
  name: string
  words: string
  /** What it is without a word about it; '' where it has to be given. */
  usual: string
  /** What else it may be, or what it means. */
  hint?: string
  /** Seldom changed: shown on demand. */
  isRare?: boolean
}

export const parameters: Parameter[] = [
  { name: 'learningRate', words: 'Learning rate', usual: '' },
  { name: 'layers', words: 'Layers', usual: '' },
  { name: 'steps', words: 'Steps', usual: '' },
  { name: 'batchSize', words: 'Batch size', usual: '64' },
  { name: 'optimizer', words: 'Optimizer', usual: 'adam', hint: 'or sgd' },
  { name: 'momentum', words: 'Momentum', usual: '0', hint: 'of sgd' },
  { name: 'weightDecay', words: 'Weight decay', usual: '0' },
  { name: 'dropout', words: 'Dropout', usual: '0.5' },
  { name: 'filters', words: 'Filters', usual: '32' },
  { name: 'kernelSize', words: 'Kernel size', usual: '3' },
  { name: 'denseUnits', words: 'Dense units', usual: '128' },
  { name: 'architecture', words: 'Architecture', usual: 'cnn', hint: 'or resnet18, resnet34, resnet50, which have layers of their own' },
  { name: 'seed', words: 'Seed', usual: '0' },
  { name: 'schedule', words: 'Schedule', usual: 'constant', hint: 'or step, exponential: how the learning rate falls', isRare: true },
  { name: 'decayEvery', words: 'Decay every', usual: '1000', hint: 'steps', isRare: true },
  { name: 'decayFactor', words: 'Decay factor', usual: '0.5', isRare: true },
  { name: 'warmUpSteps', words: 'Warm-up steps', usual: '0', isRare: true },
  { name: 'augmentShift', words: 'Shift images', usual: '0', hint: 'up to 0.5 of their side', isRare: true },
  { name: 'augmentRotate', words: 'Rotate images', usual: '0', hint: 'up to 180 degrees', isRare: true },
  { name: 'augmentScale', words: 'Scale images', usual: '0', hint: 'up to 0.5 of their size', isRare: true },
  { name: 'classWeights', words: 'Class weights', usual: 'none', hint: 'or balanced', isRare: true },
  { name: 'patience', words: 'Patience', usual: '0', hint: 'measurements without improvement before it stops early; 0 is never', isRare: true },
  { name: 'patienceMetric', words: 'Patience watches', usual: 'loss', hint: 'or accuracy', isRare: true },
  { name: 'precision', words: 'Precision', usual: 'float32', hint: 'or bfloat16: up to twice as fast on CPUs with AVX-512 BF16 or AMX (but not for 3x3 kernels of a multiple of 16 filters), for GPUs too, slow elsewhere; results differ slightly', isRare: true },
]

/** An experiment's parameters as people want to see them: without those that are seldom changed, where they were not. */
export const shownParameters = (values: Readonly<Record<string, unknown>>): [string, unknown][] =>
  Object.entries(values).filter(([name, value]) => typeof value !== 'object' && !parameters.some((parameter) => parameter.name === name && parameter.isRare && parameter.usual === String(value)))

const usualSpace: Record<string, string> = { learningRate: '0.001, 0.01, 0.1', layers: '1, 2, 4', steps: '1000, 2000, 4000' }

/** The default 27. */
export const usualDimensions = (): Dimension[] =>
  parameters.map(({ name, usual }) => ({
    name,
    mode: name in usualSpace ? 'choices' : 'default',
    values: usualSpace[name] ?? usual,
    min: '',
    max: '',
    count: '5',
    scale: name === 'learningRate' || name === 'weightDecay' ? 'log' : 'linear',
  }))

const listed = (values: unknown): string => (Array.isArray(values) ? values : [values]).map(String).join(', ')

/** As a study has them, from its definition: every value of its ranges is there. */
export const dimensionsOf = ({ space, fixed }: { space: Record<string, unknown>; fixed: Record<string, unknown> }): Dimension[] =>
  usualDimensions().map((dimension) => {
    const { name } = dimension
    if (name in space) return { ...dimension, mode: 'choices', values: listed(space[name]) }
    return name in fixed ? { ...dimension, mode: 'fixed', values: listed(fixed[name]) } : { ...dimension, mode: 'default', values: '' }
  })

/** What was best stays fixed, for a second set that varies something else. What is as usual need not be said. */
export const dimensionsFixedAt = (best: Record<string, unknown>): Dimension[] =>
  usualDimensions().map((dimension) => {
    const value = listed(best[dimension.name])
    const usual = parameters.find(({ name }) => name === dimension.name)?.usual
    return dimension.name in best && value !== usual ? { ...dimension, mode: 'fixed', values: value } : { ...dimension, mode: 'default', values: '' }
  })

/** A number where it reads as one: what is wrong with the rest, the service says. */
const value = (text: string): number | string => (Number.isFinite(numberOf(text)) ? numberOf(text) : text.trim())

/** What is written, as the service takes it. */
export function toRequest(dimensions: readonly Dimension[]): Pick<Schemas['GenerateRequest'], 'space' | 'fixed'> {
  const space: Record<string, unknown> = {}
  const fixed: Record<string, unknown> = {}
  for (const { name, mode, values, min, max, count, scale } of dimensions) {
    if (mode === 'fixed') fixed[name] = value(values)
    if (mode === 'choices') space[name] = values.split(/[,;\s]+/).filter((text) => text !== '').map(value)
    if (mode === 'range') space[name] = { min: value(min), max: value(max), scale, count: value(count) }
  }
  return { space, fixed } as Pick<Schemas['GenerateRequest'], 'space' | 'fixed'>
}

/** The words about one parameter, from errors by field: `space.steps[2]`, `fixed.steps`, `space.steps.max`. */
export const errorOf = (fields: Readonly<Record<string, string>>, name: string): string =>
  Object.entries(fields)
    .filter(([field]) => new RegExp(`^(space|fixed)\\.${name}(\\b|$)`).test(field))
    .map(([, words]) => words)
    .join(' ')
