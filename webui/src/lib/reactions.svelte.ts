import { SvelteMap } from 'svelte/reactivity';
import { problemOf } from '../engine/api';
import type { Message } from '../wire';
import { app } from './app.svelte';
import { problemText } from './names';
import { toast } from './toast.svelte';

export const QUICK = ['👍', '❤️', '😂', '😮', '😢', '🙏'];
const SETTLE_MS = 5000;

type Reactions = NonNullable<Message['reactions']>;

/** Own reactions as they will be, until the server's news says so too. */
const wanted = new SvelteMap<string, { message: Message; emoji: string; on: boolean }>();
const keyOf = (message: Message, emoji: string) => `${message.room_id} ${message.seq} ${emoji}`;

export const isOn = (message: Message, emoji: string) =>
  has(message.reactions, emoji, app.me?.id ?? '');

/** The message with what is wanted of its reactions. */
export function withWanted(message: Message): Message {
  const me = app.me?.id ?? '';
  let reactions = message.reactions ?? [];
  for (const want of wanted.values())
    if (want.message.seq === message.seq && want.message.room_id === message.room_id)
      reactions = put(reactions, want.emoji, me, want.on);
  return reactions === message.reactions || (!message.reactions && !reactions.length)
    ? message
    : { ...message, reactions };
}

/** Puts one's reaction on, or takes it back: seen at once, undone if refused. */
export async function toggle(message: Message, emoji: string): Promise<void> {
  const on = !isOn(message, emoji);
  const key = keyOf(message, emoji);
  const want = { message, emoji, on };
  wanted.set(key, want);
  const drop = () => wanted.get(key) === want && wanted.delete(key);
  try {
    await app.calls.react(message.room_id, message.seq, emoji, on);
    // The news was here already, or comes in a moment.
    setTimeout(drop, SETTLE_MS);
  } catch (error) {
    drop();
    toast.say(problemText(problemOf(error)), true);
  }
}

/** News of messages: what they now say themselves is no longer wanted. */
function settle(messages: Message[]): void {
  if (!wanted.size) return;
  const me = app.me?.id ?? '';
  for (const message of messages)
    for (const [key, { message: of, emoji, on }] of wanted)
      if (of.seq === message.seq && of.room_id === message.room_id)
        if (has(message.reactions, emoji, me) === on || message.deleted_at) wanted.delete(key);
}

app.listen({ messages: settle, fresh: () => {}, reset: () => {} });

function has(reactions: Reactions | undefined, emoji: string, user: string): boolean {
  return reactions?.some((r) => r.emoji === emoji && r.user_ids.includes(user)) ?? false;
}

function put(reactions: Reactions, emoji: string, user: string, on: boolean): Reactions {
  if (has(reactions, emoji, user) === on) return reactions;
  if (!on)
    return reactions
      .map((r) =>
        r.emoji === emoji ? { ...r, user_ids: r.user_ids.filter((u) => u !== user) } : r,
      )
      .filter((r) => r.user_ids.length);
  if (!reactions.some((r) => r.emoji === emoji)) return [...reactions, { emoji, user_ids: [user] }];
  return reactions.map((r) => (r.emoji === emoji ? { ...r, user_ids: [...r.user_ids, user] } : r));
}
