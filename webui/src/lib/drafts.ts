import type { Draft } from '../wire';
import { app } from './app.svelte';

const none: Draft = { text: '' };

/** What was begun in a room and not sent, here or on another device. */
export function draftOf(room: string): Draft {
  return app.drafts.get(room) ?? none;
}

/** What is only space is no draft. */
export const worth = (text: string) => (text.trim() ? text : '');

/** Keeps what stands in the field. In this tab it holds at once. */
export function keepDraft(room: string, text: string, replyTo?: number): void {
  const kept = worth(text);
  const old = draftOf(room);
  if (old.text === kept && old.reply_to === replyTo) return;
  if (kept || replyTo) app.drafts.set(room, { room_id: room, text: kept, reply_to: replyTo });
  else app.drafts.delete(room);
  app.writing.set(room, (app.writing.get(room) ?? 0) + 1);
  app.calls
    .keepDraft(room, kept, replyTo)
    // No storage: it holds as long as the page.
    .catch(() => {})
    .finally(() => {
      const left = (app.writing.get(room) ?? 1) - 1;
      if (left) app.writing.set(room, left);
      else app.writing.delete(room);
    });
}
