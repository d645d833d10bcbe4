import type { Schemas } from '@/api/client'
import { spaced } from '@/api/words'

/** Experiments over their parameters, in columns. */
export type Points = Pick<Schemas['PointsResponse'], 'metric' | 'direction' | 'ids' | 'numbers' | 'names' | 'values' | 'parameters'>
export type Value = number | string

/** In an axis's own positions, both ends included. */
export type Range = readonly [number, number]

/** One parameter, or the metric: where its values lie, evenly spread for those of few values. */
export interface Axis {
  readonly name: string
  readonly title: string
  readonly kind: 'ticks' | 'log' | 'linear'
  /** The values, ascending, where there are few; else none. */
  readonly ticks: readonly Value[]
  readonly values: readonly Value[]
  readonly min: number
  readonly max: number
  position(value: Value): number
  /** What stands at a position; nothing between ticks. */
  label(position: number): string
}

const FewValues = 8
/** How far beyond the outermost ticks an axis goes. */
const Margin = 0.25

export const short = (value: number): string => {
  if (value === 0) return '0'
  const rounded = Number(value.toPrecision(3))
  return Math.abs(rounded) < 1e-3 || Math.abs(rounded) >= 1e6 ? rounded.toExponential().replace('e+', 'e') : String(rounded)
}

const shown = (value: Value): string => (typeof value === 'number' ? short(value) : value)

/** Whether values spread more evenly over the logarithmic scale than over the linear one. */
export function isLogarithmic(sorted: readonly number[]): boolean {
  const [min, max, middle] = [sorted[0], sorted.at(-1), sorted[Math.floor(sorted.length / 2)]]
  if (min === undefined || max === undefined || middle === undefined || min <= 0 || max / min < 10) return false
  const offCentre = (of: (value: number) => number): number => Math.abs((of(middle) - of(min)) / (of(max) - of(min)) - 0.5)
  return offCentre(Math.log) < offCentre((value) => value)
}

/** @param few How many values at most become ticks; a metric has none. */
export function axisOf(name: string, values: readonly Value[], few = FewValues): Axis {
  const distinct = [...new Set(values)]
  const numbers = distinct.filter((value) => typeof value === 'number').sort((one, other) => one - other)
  const title = spaced(name)
  if (numbers.length < distinct.length || distinct.length <= few) {
    const ticks: Value[] = numbers.length < distinct.length ? distinct.map(String).sort() : numbers
    return {
      name, title, kind: 'ticks', ticks, values,
      min: -Margin,
      max: Math.max(0, ticks.length - 1) + Margin,
      position: (value) => ticks.indexOf(value),
      label: (position) => (Number.isInteger(position) && ticks[position] !== undefined ? shown(ticks[position]) : ''),
    }
  }
  const isLog = isLogarithmic([...(values as number[])].sort((one, other) => one - other))
  const position = (value: Value): number => (isLog ? Math.log10(Number(value)) : Number(value))
  const [low, high] = [position(numbers[0] ?? 0), position(numbers.at(-1) ?? 1)]
  return {
    name, title, kind: isLog ? 'log' : 'linear', ticks: [], values,
    min: low,
    max: high > low ? high : low + 1,
    position,
    label: (at) => short(isLog ? 10 ** at : at),
  }
}

export const parameterAxes = (points: Points): Axis[] => points.parameters.map(({ name, numbers, words }) => axisOf(name, numbers ?? words ?? []))

export const metricAxis = (points: Points): Axis => axisOf(points.metric, points.values, 1)

/** Where an axis has its ticks; ECharts chooses, where there are none. */
export const tickValues = (axis: Axis): number[] | undefined => (axis.kind === 'ticks' ? axis.ticks.map((_, place) => place) : undefined)
