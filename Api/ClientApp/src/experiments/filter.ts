import type { Column } from './columns'

export const operatorsOf = (kind: Column['kind']): readonly string[] => (kind === 'text' ? ['~', '=', '!='] : kind === 'time' ? ['>=', '<'] : ['=', '!=', '<', '<=', '>', '>='])

const operatorWords: Record<string, string> = { '~': 'contains', '=': 'is', '!=': 'is not', '<': 'less than', '<=': 'at most', '>': 'more than', '>=': 'at least' }
const timeWords: Record<string, string> = { '>=': 'from', '<': 'before' }

export const inWords = (operator: string, kind: Column['kind']): string => (kind === 'time' ? timeWords[operator] : operatorWords[operator]) ?? operator

/** What stands in quotes has its own quotes twice. */
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

/** One comparison, as the service reads it. A decimal comma is a point. */
export function comparison(column: string, kind: Column['kind'], operator: string, value: string): string {
  const given = value.trim()
  return `${column} ${operator} ${kind === 'number' ? given.replace(',', '.') : quoted(given)}`
}

/** Both, or either. "and" binds more tightly than "or". */
export function joined(filter: string, word: 'and' | 'or', more: string): string {
  if (filter.trim() === '') return more
  return word === 'and' && /\bor\b/i.test(filter) ? `(${filter}) and ${more}` : `${filter} ${word} ${more}`
}
