import { expect, it } from 'vitest'
import { keepOrder } from './order'

it('keepOrder keeps what is there in place, and has what is new at the end', () => {
  expect(keepOrder(['layers', 'gone', 'steps'], ['steps', 'dropout', 'layers'])).toEqual(['layers', 'steps', 'dropout'])
  expect(keepOrder([], ['steps', 'layers'])).toEqual(['steps', 'layers'])
})
