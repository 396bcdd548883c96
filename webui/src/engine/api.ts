import type { Problem } from '../wire';

/** An answer that was not a success; `code` is the server's, or `network`. */
export class ApiError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail ?? problem.title ?? problem.code);
    this.problem = problem;
  }
}

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export interface Api {
  get<T>(path: string): Promise<T>;
  send<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<T>;
}

/** Same-origin calls by cookie. A write carries X-Natter, which no other site can add. */
export function makeApi(fetch: Fetch, timeoutMs = 15_000): Api {
  async function call<T>(path: string, init: RequestInit): Promise<T> {
    let response: Response;
    let body: unknown;
    try {
      response = await fetch(path, {
        credentials: 'same-origin',
        cache: 'no-store',
        signal: AbortSignal.timeout(timeoutMs),
        ...init,
      });
      const text = await response.text();
      body =
        text && (response.headers.get('content-type') ?? '').includes('json')
          ? JSON.parse(text)
          : undefined;
    } catch {
      throw new ApiError({ code: 'network' });
    }
    if (response.ok) return body as T;
    const problem = (body ?? {}) as Partial<Problem>;
    throw new ApiError({
      ...problem,
      code: problem.code ?? codeOf(response.status),
      status: response.status,
    });
  }
  return {
    get: (path) => call(path, { method: 'GET' }),
    send: (method, path, body) =>
      call(path, {
        method,
        headers: {
          'X-Natter': '1',
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      }),
  };
}

function codeOf(status: number): string {
  if (status === 401) return 'unauthenticated';
  if (status === 404) return 'not_found';
  if (status === 409) return 'conflict';
  if (status === 413) return 'too_large';
  if (status === 429) return 'too_many';
  return status >= 500 ? 'unavailable' : 'invalid';
}

export function problemOf(error: unknown): Problem {
  return error instanceof ApiError ? error.problem : { code: 'internal', detail: String(error) };
}
