import type { Message, RoomEntry } from '../wire';
import { app } from './app.svelte';
import { t } from './prefs.svelte';
import { toast } from './toast.svelte';

/** What a person may do to a message; the server has the last word. */
export function mayEdit(message: Message): boolean {
  const own = message.sender_id === app.me?.id && message.kind === 'text';
  return own && !message.deleted_at && !editEnded(message);
}

/** The operator lets a message be edited for so long and no longer. */
function editEnded(message: Message): boolean {
  const span = app.limits.edit_window_ms ?? 0;
  const age = Date.now() + app.clockOffset - Date.parse(message.created_at);
  return span > 0 && age > span;
}

export function mayDelete(message: Message, { room }: RoomEntry): boolean {
  if (message.kind !== 'text' || message.deleted_at) return false;
  if (message.sender_id === app.me?.id) return true;
  const role = room.role ?? room.members?.find((m) => m.user.id === app.me?.id)?.role;
  return room.kind === 'group' && (role === 'owner' || role === 'admin');
}

/** Changing what is said needs the server now; says so when it is away. */
export function mayChange(): boolean {
  if (app.live) return true;
  toast.say(t('needsConnection'), true);
  return false;
}

export async function copyText(message: Message): Promise<void> {
  try {
    await navigator.clipboard.writeText(message.text);
    toast.say(t('copied'));
  } catch {
    // Without TLS there is no clipboard: select it as one did before there was one.
    const area = Object.assign(document.createElement('textarea'), { value: message.text });
    area.style.cssText = 'position:fixed;opacity:0';
    const focused = document.activeElement as HTMLElement | null;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus();
    toast.say(t(done ? 'copied' : 'copyFailed'), !done);
  }
}
