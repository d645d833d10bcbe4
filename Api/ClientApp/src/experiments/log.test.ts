import { describe, expect, it } from 'vitest'
import type { Schemas } from '@/api/client'
import { logOf } from './log'

const experiment = {
  status: 'failed',
  createdAt: '2026-03-01T09:00:00Z',
  queuedAt: '2026-03-01T09:00:00Z',
  finishedAt: '2026-03-01T09:10:00Z',
  startAt: null,
  totalSteps: 4000,
  accuracy: null,
  diverged: false,
  error: 'Three attempts were lost.',
  attempts: [
    { worker: 'bert', fromStep: 1000, toStep: 1000, startedAt: '2026-03-01T09:06:00Z', finishedAt: '2026-03-01T09:10:00Z', outcome: 'crashed', error: 'Out of memory.' },
    { worker: 'anna', fromStep: 0, toStep: 1000, startedAt: '2026-03-01T09:01:00Z', finishedAt: '2026-03-01T09:05:00Z', outcome: 'drained', error: null },
  ],
} as unknown as Schemas['ExperimentDetail']

describe('logOf', () => {
  it('tells a life, newest first', () => {
    expect(logOf(experiment).map(({ words }) => words)).toEqual([
      'Failed',
      'bert lost its trainer, at step 1,000',
      'bert took it up at step 1,000',
      'anna was asked to stop, and gave it back, at step 1,000',
      'anna took it up at step 0',
      'Queued',
      'Generated',
    ])
  })

  it('says what went wrong where it did', () => {
    expect(logOf(experiment).filter(({ isBad }) => isBad).map(({ detail }) => detail)).toEqual(['Three attempts were lost.', 'Out of memory.'])
  })

  it('has an open end while it trains', () => {
    const running = { ...experiment, status: 'running', finishedAt: null, attempts: [{ ...experiment.attempts[1], finishedAt: null, outcome: null, toStep: null }] } as unknown as Schemas['ExperimentDetail']
    expect(logOf(running).map(({ words }) => words)).toEqual(['anna took it up at step 0', 'Queued', 'Generated'])
  })
})
