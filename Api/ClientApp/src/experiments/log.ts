import type { Schemas } from '@/api/client'
import { count, percent } from '@/api/words'

export interface LogEntry {
  at: string
  words: string
  detail?: string
  isBad?: boolean
}

const endings: Record<Schemas['AttemptOutcome'], string> = {
  completed: 'measured its last milestone',
  stopped: 'stopped, since nothing more was wanted of it',
  drained: 'was asked to stop, and gave it back',
  failed: 'could not train it',
  crashed: 'lost its trainer',
  lost: 'was lost',
}

const final: Partial<Record<Schemas['ExperimentStatus'], string>> = { completed: 'Completed', failed: 'Failed', cancelled: 'Cancelled', pruned: 'Pruned' }

/** What happened to an experiment, newest first, from its row and the attempts at its trajectory. */
export function logOf(experiment: Schemas['ExperimentDetail']): LogEntry[] {
  const entries: LogEntry[] = [{ at: experiment.createdAt, words: 'Generated' }]
  if (experiment.queuedAt) entries.push({ at: experiment.queuedAt, words: 'Queued', detail: experiment.startAt ? 'not to start before its time' : undefined })
  for (const attempt of experiment.attempts) {
    entries.push({ at: attempt.startedAt, words: `${attempt.worker} took it up at step ${count(attempt.fromStep)}` })
    if (attempt.finishedAt && attempt.outcome)
      entries.push({
        at: attempt.finishedAt,
        words: `${attempt.worker} ${endings[attempt.outcome]}${attempt.toStep == null ? '' : `, at step ${count(attempt.toStep)}`}`,
        detail: attempt.error ?? undefined,
        isBad: attempt.error != null,
      })
  }
  const end = final[experiment.status]
  if (end && experiment.finishedAt)
    entries.push({
      at: experiment.finishedAt,
      words: experiment.status === 'completed' ? `${end}: ${percent(experiment.accuracy)} after ${count(experiment.totalSteps)} steps${experiment.diverged ? ', diverged' : ''}` : end,
      detail: experiment.error ?? undefined,
      isBad: experiment.status === 'failed',
    })
  // Of those at the same moment, what came later in a life is shown above.
  return entries.map((entry, place) => ({ entry, place })).sort((one, other) => Date.parse(other.entry.at) - Date.parse(one.entry.at) || other.place - one.place).map(({ entry }) => entry)
}
