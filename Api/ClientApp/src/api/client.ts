import createClient from 'openapi-fetch'
import { shallowRef } from 'vue'
import type { components, paths } from './schema'

export type Schemas = components['schemas']

/** What the service refused, in its own words. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    /** By field, as the request names it. */
    readonly fields: Readonly<Record<string, string>> = {},
  ) {
    super(message)
  }

  static of(problem: unknown, status: number): ApiError {
    const { title, detail, errors } = (typeof problem === 'object' && problem !== null ? problem : {}) as Partial<Schemas['HttpValidationProblemDetails']>
    const fields = Object.fromEntries(Object.entries(errors ?? {}).map(([field, words]) => [field, words.join(' ')]))
    return new ApiError(detail ?? title ?? `The service answered ${status}.`, status, fields)
  }
}

/** That somebody has signed in here, so that signing out is offered; the cookie itself can't be seen. */
export const SignedInKey = 'signedIn'

/** Whether the service wants the key before it answers anything else. */
export const isSignInNeeded = shallowRef(false)

export const api = createClient<paths>({
  baseUrl: location.origin,
  fetch: async (request) => {
    try {
      const response = await fetch(request)
      if (response.status === 401 && !request.url.endsWith('/api/session')) isSignInNeeded.value = true
      return response
    } catch {
      throw new ApiError('The service cannot be reached. Nothing was changed; try again when it is back.', 0)
    }
  },
})

/** The answer, or what was refused as an error. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call
  if (!response.ok) throw ApiError.of(error, response.status)
  return data as T
}
