import type { EChartsCoreOption } from 'echarts/core'
import { tickValues, type Axis } from './axes'
import type { Theme } from './overlay'

const hex = (colour: string): number[] => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16))

/** A colour between two, 0 to 1. */
export function mix(from: string, to: string, share: number): string {
  const [one, other] = [hex(from), hex(to)]
  return `rgb(${one.map((part, place) => Math.round(part + ((other[place] ?? part) - part) * share)).join(', ')})`
}

/** How good each value is among them, 0 the worst to 1 the best; equal ones alike. */
export function ranks(values: readonly number[], isHigherBetter: boolean): number[] {
  const sorted = [...new Set(values)].sort((one, other) => (isHigherBetter ? one - other : other - one))
  const places = new Map(sorted.map((value, place) => [value, sorted.length > 1 ? place / (sorted.length - 1) : 1]))
  return values.map((value) => places.get(value) ?? 0)
}

/** What two options share where one can be drawn into the other: parallel axes stay in the order in which they came. */
export const shapeOf = ({ parallelAxis = [] }: EChartsCoreOption): string => (parallelAxis as { id: string }[]).map(({ id }) => id).join()

const axisLabel = (axis: Axis, theme: Theme): Record<string, unknown> => ({ color: theme.soft, hideOverlap: true, customValues: tickValues(axis), formatter: (at: number) => axis.label(at) })

const axisStyle = (axis: Axis, theme: Theme): Record<string, unknown> => ({
  type: 'value',
  min: axis.min,
  max: axis.max,
  axisLabel: axisLabel(axis, theme),
  axisTick: { customValues: tickValues(axis) },
  axisLine: { lineStyle: { color: theme.line } },
})

/** A line for each experiment across all axes, the better the stronger, the best on top. */
export function parallelOption(axes: readonly Axis[], metric: Axis, isHigherBetter: boolean, theme: Theme): EChartsCoreOption {
  const all = [...axes, metric]
  const goodness = ranks(metric.values as number[], isHigherBetter)
  const worst = theme.dark ? '#3f4650' : '#cbd5e1'
  const order = goodness.map((_, place) => place).sort((one, other) => (goodness[one] ?? 0) - (goodness[other] ?? 0))
  const isMany = order.length > 300
  return {
    animation: false,
    parallel: { left: 40, right: 56, top: 40, bottom: 16, parallelAxisDefault: { nameLocation: 'end', nameGap: 14 } },
    parallelAxis: all.map((axis, dim) => ({
      ...axisStyle(axis, theme),
      id: axis.name,
      dim,
      name: axis.title,
      // Lines run through them.
      axisLabel: { ...axisLabel(axis, theme), textBorderColor: theme.card, textBorderWidth: 3 },
      // Alternating heights, so that long names don't run into each other.
      nameTextStyle: { color: theme.text, fontSize: 11, padding: dim % 2 === 1 && all.length > 4 ? [0, 0, 12, 0] : 0 },
      areaSelectStyle: { width: 22, borderWidth: 1, borderColor: theme.accent, color: theme.accent, opacity: 0.25 },
    })),
    series: [{
      id: 'experiments',
      type: 'parallel',
      smooth: 0.15,
      // Thousands of faint lines are as strong as one.
      inactiveOpacity: isMany ? 0 : 0.04,
      activeOpacity: isMany ? 0.5 : 0.9,
      progressive: 500,
      data: order.map((place) => ({
        name: String(place),
        value: all.map((axis) => axis.position(axis.values[place] ?? NaN)),
        lineStyle: { color: mix(worst, theme.accent, goodness[place] ?? 0), width: isMany ? 1 : 1 + (goodness[place] ?? 0), opacity: isMany ? 0.35 : 0.8 },
      })),
    }],
  }
}

/** Each value's mean, where there are few. */
export function means(axis: Axis, metric: Axis, places: readonly number[]): [number, number][] {
  return axis.ticks.flatMap((tick, at): [number, number][] => {
    const values = places.filter((place) => axis.values[place] === tick).map((place) => Number(metric.values[place]))
    return values.length > 0 ? [[at, values.reduce((sum, value) => sum + value, 0) / values.length]] : []
  })
}

/** One parameter against the metric: a point for each experiment, those that are let through in front, and the means of few values. */
export function sliceOption(axis: Axis, metric: Axis, places: readonly number[], names: readonly string[], theme: Theme): EChartsCoreOption {
  const front = new Set(places)
  const point = (place: number): { name: string; value: number[] } => ({ name: names[place] ?? '', value: [axis.position(axis.values[place] ?? NaN), metric.position(metric.values[place] ?? NaN)] })
  const behind = names.map((_, place) => place).filter((place) => !front.has(place))
  const pad = (metric.max - metric.min) * 0.04
  return {
    animation: false,
    grid: { left: 52, right: 12, top: 10, bottom: 38 },
    tooltip: { trigger: 'item', renderMode: 'richText', confine: true, formatter: ({ name, value }: { name: string; value: number[] }) => `${name}\n${metric.label(value[1] ?? 0)}` },
    xAxis: { ...axisStyle(axis, theme), name: axis.title, nameLocation: 'middle', nameGap: 22, nameTextStyle: { color: theme.text }, splitLine: { show: false } },
    yAxis: { ...axisStyle(metric, theme), min: metric.min - pad, max: metric.max + pad, axisLabel: { color: theme.soft, showMinLabel: false, showMaxLabel: false, formatter: (at: number) => metric.label(at) }, splitLine: { lineStyle: { color: theme.line } } },
    series: [
      { id: 'others', type: 'scatter', data: behind.map(point), symbolSize: 5, silent: true, itemStyle: { color: theme.soft, opacity: 0.15 } },
      { id: 'chosen', type: 'scatter', data: places.map(point), symbolSize: 7, itemStyle: { color: theme.accent, opacity: places.length > 300 ? 0.35 : 0.75 } },
      { id: 'means', type: 'line', data: means(axis, metric, places), symbol: 'diamond', symbolSize: 8, silent: true, lineStyle: { type: 'dashed', width: 1, color: theme.text }, itemStyle: { color: theme.text } },
    ],
  }
}
