import type { EChartsCoreOption } from 'echarts/core'
import type { Schemas } from '@/api/client'

export interface Colours {
  text: string
  soft: string
  line: string
  train: string
  validation: string
}

type Point = Schemas['PointResponse']

/** Points as the chart takes them; what is no number breaks the line. */
export const points = (curve: readonly Point[] | undefined): [number, number | null][] => (curve ?? []).map(({ step, value }) => [step, value ?? null])

/** New points after those that are there: a running experiment sends what it has reached since. */
export function append(curves: Schemas['MetricsResponse']['curves'], more: Schemas['MetricsResponse']['curves']): Schemas['MetricsResponse']['curves'] {
  const all = { ...curves }
  for (const [name, added] of Object.entries(more)) {
    const last = all[name]?.at(-1)?.step ?? -1
    all[name] = [...(all[name] ?? []), ...added.filter(({ step }) => step > last)]
  }
  return all
}

/** The step up to which every curve is there; 0 where there is none. */
export const lastOfAll = (curves: Schemas['MetricsResponse']['curves']): number => {
  const lasts = Object.values(curves).map((curve) => curve.at(-1)?.step ?? 0)
  return lasts.length === 0 ? 0 : Math.min(...lasts)
}

/** Training and validation of one metric over the steps. */
export function curveOption(title: string, train: readonly Point[] | undefined, validation: readonly Point[] | undefined, isLog: boolean, colours: Colours): EChartsCoreOption {
  const line = (name: string, data: [number, number | null][], color: string) => ({ name, type: 'line', data, color, showSymbol: false, symbolSize: 6, lineStyle: { width: 1.75 } })
  return {
    animation: false,
    title: { text: title, textStyle: { color: colours.text, fontSize: 13, fontWeight: 600 }, left: 0, top: 0 },
    legend: { right: 0, top: 0, icon: 'roundRect', itemWidth: 14, itemHeight: 3, textStyle: { color: colours.soft, fontSize: 12 } },
    grid: { left: 52, right: 14, top: 34, bottom: 30 },
    // Not as HTML, whose inline styles the page's policy forbids.
    tooltip: { trigger: 'axis', renderMode: 'richText', confine: true },
    xAxis: { type: 'value', axisLabel: { color: colours.soft }, axisLine: { lineStyle: { color: colours.line } }, splitLine: { show: false }, minInterval: 1 },
    yAxis: { type: isLog ? 'log' : 'value', scale: true, axisLabel: { color: colours.soft }, splitLine: { lineStyle: { color: colours.line } } },
    series: [line('training', points(train), colours.train), line('validation', points(validation), colours.validation)],
  }
}
