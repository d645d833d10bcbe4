const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const bytesUnits = ['B', 'KB', 'MB', 'GB', 'TB']

export const count = (value: number): string => whole.format(value)

export const plural = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`

/** 0.98765 -> 98.77 %; what is unknown is a dash. */
export const percent = (share: number | null | undefined, digits = 2): string => (share == null ? '–' : `${(share * 100).toFixed(digits)} %`)

export const number = (value: number | null | undefined, digits = 4): string =>
  value == null ? '–' : Math.abs(value) >= 1e-3 || value === 0 ? value.toFixed(digits) : value.toExponential(2)

/** What people write for a number, a decimal comma too; NaN where it is none. */
export const numberOf = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text.trim().replace(',', '.')))

/** A parameter as people write it: 0.001, 1e-7. */
export const parameter = (value: unknown): string => (typeof value === 'number' ? String(value) : String(value ?? '–'))

export function duration(seconds: number | null | undefined): string {
  if (seconds == null) return '–'
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log(value) / Math.log(1024)), bytesUnits.length - 1)
  return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${bytesUnits[power]}`
}

/** @param exact With seconds. */
export const time = (value: string | null | undefined, exact = false): string =>
  value ? new Date(value).toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: exact ? '2-digit' : undefined }) : '–'

/** camelCase -> words: learningRate -> learning rate. */
export const spaced = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
