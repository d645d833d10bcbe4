import { useToast } from 'primevue/usetoast'
import { ApiError } from '@/api/client'

/** Says what happened where no field is to blame. */
export function useReporting(): { failed: (error: unknown) => void; done: (words: string) => void } {
  const toast = useToast()
  return {
    failed(error) {
      if (!(error instanceof ApiError)) throw error
      // The key is asked for already.
      if (error.status === 401) return
      toast.add({ severity: 'error', summary: error.message, detail: Object.values(error.fields).filter((words) => words !== error.message).join(' '), life: 10_000 })
    },
    done: (words) => toast.add({ severity: 'success', summary: words, life: 3_000 }),
  }
}
