export const BASE_MS = 500;
export const CAP_MS = 30_000;

/**
 * Full jitter: anywhere between nothing and the doubled ceiling, so that a server
 * coming back is not met by everybody in the same moment. A delay the server asked
 * for is a floor, never shortened by luck.
 */
export function fullJitter(attempt: number, random: () => number, atLeast = 0): number {
  const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(attempt, 16));
  return Math.max(atLeast, Math.floor(random() * ceiling));
}

export type CloseMeaning =
  | { what: 'reconnect' }
  | { what: 'sign-in'; reason: 'unauthenticated' | 'revoked' }
  | { what: 'stop'; reason: 'protocol' | 'too_many_connections' };

/** What a close code asks of us: protocol.md's table. */
export function meaningOf(code: number): CloseMeaning {
  switch (code) {
    case 4500:
      return { what: 'sign-in', reason: 'unauthenticated' };
    case 4501:
      return { what: 'sign-in', reason: 'revoked' };
    case 4503:
      return { what: 'stop', reason: 'too_many_connections' };
  }
  return code >= 4500 && code <= 4999
    ? { what: 'stop', reason: 'protocol' }
    : { what: 'reconnect' };
}

/** Refusals that pass by themselves; everything else needs the person. */
export function isTemporary(code: string): boolean {
  return code === 'unavailable' || code === 'too_many' || code === 'internal' || code === 'timeout';
}
