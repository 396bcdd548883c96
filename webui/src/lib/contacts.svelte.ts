import { problemOf } from '../engine/api';
import type { Contact, User } from '../wire';
import { app } from './app.svelte';
import { problemText } from './names';
import { t } from './prefs.svelte';
import { toast } from './toast.svelte';

export function stateOf(user: User): Contact['state'] | 'blocked' {
  if (app.blocks.has(user.id)) return 'blocked';
  return app.contacts.get(user.id)?.state ?? 'none';
}

/** People in one state; friends by name, requests by age, the newest first. */
export function contactsOf(state: Contact['state']): User[] {
  const found = [...app.contacts.values()].filter((c) => c.state === state);
  const name = ({ user }: Contact) => user.name || user.username;
  found.sort((a, b) =>
    state === 'friend'
      ? name(a).localeCompare(name(b))
      : (b.since ?? '').localeCompare(a.since ?? ''),
  );
  return found.map(({ user }) => app.users.get(user.id) ?? user);
}

/** Does it, and says why if it was refused. */
export async function tried(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    const problem = problemOf(error);
    // A day from now is not "a moment": they have declined.
    const declined = problem.code === 'too_many' && (problem.retry_after_ms ?? 0) > 600_000;
    toast.say(declined ? t('declinedLately') : problemText(problem), true);
  }
}
