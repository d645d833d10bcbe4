import type { EChartsCoreOption } from 'echarts/core'
import type { Schemas } from '@/api/client'
import { spaced } from '@/api/words'
import { short } from './axes'
import { points } from './curves'
import { smooth, type Line } from './smooth'

export interface Theme {
  text: string
  soft: string
  line: string
  card: string
  accent: string
  dark: boolean
}

/** One experiment's curves. */
export interface Run {
  id: string
  name: string
  curves: Schemas['MetricsResponse']['curves']
  /** Mean training time of a step; null where nothing is known of it yet. */
  secondsPerStep: number | null
}

export interface Overlay {
  metric: string
  by: 'step' | 'time'
  isLog: boolean
  smoothing: number
}

export const MaxRuns = 20

// Okabe and Ito's, which people tell apart who see colours otherwise; a little darker or lighter for contrast with the ground.
const onLight = ['#0072b2', '#b34700', '#007a5a', '#a3527f', '#8a6d00', '#333333']
const onDark = ['#56b4e9', '#ff8c42', '#2fd6a5', '#e59ac5', '#f0e442', '#dddddd']
const dashes: (number[] | 'solid')[] = ['solid', [7, 4], [2, 3], [12, 3, 2, 3]]

export const colourOf = (place: number, dark: boolean): string => (dark ? onDark : onLight)[place % onLight.length] ?? ''
/** Told apart without colours too. */
export const dashOf = (place: number): number[] | 'solid' => dashes[Math.floor(place / onLight.length) % dashes.length] ?? 'solid'

/** Every curve that one of them has, the usual ones first. */
export function curveNames(runs: readonly Run[]): string[] {
  const usual = ['validationAccuracy', 'validationLoss', 'accuracy', 'loss']
  const there = new Set(runs.flatMap(({ curves }) => Object.keys(curves)))
  return [...usual, ...[...there].filter((name) => !usual.includes(name)).sort()]
}

export const curveTitle = (name: string): string =>
  name === 'accuracy' || name === 'loss' ? `training ${name}` : spaced(name)

/** A run's line; none where it is by time and nothing is known of that. */
export function lineOf(run: Run, { metric, by, isLog }: Overlay): Line {
  const scale = by === 'step' ? 1 : run.secondsPerStep
  if (scale === null) return []
  // What is not above 0 has no place on a logarithmic axis.
  return points(run.curves[metric]).map(([step, value]) => [step * scale, value !== null && isLog && value <= 0 ? null : value])
}

/** Of ECharts' own, which shows whole powers of ten alone, a curve fills a fraction. */
const logarithms = (line: Line): Line => line.map(([x, y]) => [x, y === null ? null : Math.log10(y)])

export function overlayOption(runs: readonly Run[], overlay: Overlay, theme: Theme): EChartsCoreOption {
  const { by, isLog, smoothing } = overlay
  const series = runs.flatMap((run, place) => {
    const color = colourOf(place, theme.dark)
    const raw = lineOf(run, overlay)
    const scaled = isLog ? logarithms : (line: Line): Line => line
    const base = { type: 'line', color, showSymbol: raw.length === 1, symbolSize: 6, connectNulls: false }
    const main = { ...base, id: run.id, name: run.name, data: scaled(smooth(raw, smoothing)), z: 3, lineStyle: { width: 2, type: dashOf(place) } }
    const behind = { ...base, id: `${run.id} raw`, data: scaled(raw), silent: true, z: 2, showSymbol: false, lineStyle: { width: 1, opacity: 0.25 }, tooltip: { show: false } }
    return smoothing > 0 ? [behind, main] : [main]
  })
  return {
    animation: false,
    grid: { left: 56, right: 16, top: 12, bottom: 40 },
    tooltip: { trigger: 'axis', renderMode: 'richText', confine: true, order: 'valueDesc', valueFormatter: (value: unknown) => (typeof value === 'number' ? (isLog ? 10 ** value : value).toPrecision(4) : '–') },
    xAxis: {
      type: 'value', name: by === 'step' ? 'step' : 'seconds of training', nameLocation: 'middle', nameGap: 26, nameTextStyle: { color: theme.soft },
      axisLabel: { color: theme.soft, hideOverlap: true }, axisLine: { lineStyle: { color: theme.line } }, splitLine: { show: false },
    },
    yAxis: { type: 'value', scale: true, axisLabel: { color: theme.soft, formatter: (at: number) => short(isLog ? 10 ** at : at) }, splitLine: { lineStyle: { color: theme.line } } },
    dataZoom: [{ type: 'inside', filterMode: 'none', zoomOnMouseWheel: 'shift' }],
    series,
  }
}
