import { problemOf } from './api';
import { isTemporary } from './backoff';
import type { KeptDraft } from './db';
import type { Engine } from './engine';
import { Outcome } from './world';

/** From the last key until other devices are told. */
const REST_MS = 1500;

/**
 * What was begun and not sent. It is stored and told to the tabs at once, and to the
 * server when the person rests, leaves the room, or comes back online. Until the
 * server has it, it is `ahead`, and news of another device's draft doesn't count.
 */
export class Drafts {
  #engine: Engine;
  #resting = new Map<string, () => void>();
  #flying = new Set<string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async keep(room_id: string, text: string, reply_to?: number): Promise<void> {
    const draft: KeptDraft = { room_id, text, ahead: true, ...(reply_to ? { reply_to } : {}) };
    await this.#put(draft);
    this.#rest(room_id, REST_MS);
  }

  /** Doesn't wait for the rest: the person is leaving. */
  tell(room: string): void {
    if (this.#resting.has(room)) void this.#send(room);
  }

  tellAll(): void {
    for (const room of [...this.#resting.keys()]) this.tell(room);
  }

  /** What the server has not heard of, it hears now. */
  connected(): void {
    for (const draft of this.#engine.world?.drafts.values() ?? [])
      if (draft.ahead) void this.#send(draft.room_id);
  }

  #rest(room: string, ms: number): void {
    this.#resting.get(room)?.();
    this.#resting.set(
      room,
      this.#engine.deps.clock.after(ms, () => void this.#send(room)),
    );
  }

  async #send(room: string): Promise<void> {
    this.#resting.get(room)?.();
    this.#resting.delete(room);
    const draft = this.#engine.world?.drafts.get(room);
    if (!draft?.ahead || this.#flying.has(room)) return;
    this.#flying.add(room);
    try {
      const { text, reply_to } = draft;
      const frame = text && reply_to ? { text, reply_to } : { text };
      await this.#engine.requests.ask({ op: 'draft', room_id: room, ...frame });
      await this.#told(draft);
    } catch (error) {
      const { code, retry_after_ms = 0 } = problemOf(error);
      // Otherwise it stays ahead: the next connection, or the next key, tries again.
      if (isTemporary(code)) this.#rest(room, Math.max(REST_MS, retry_after_ms));
    } finally {
      this.#flying.delete(room);
    }
    // More was written while it was on its way, and its rest is over too.
    const now = this.#engine.world?.drafts.get(room);
    if (now?.ahead && now !== draft && !this.#resting.has(room)) await this.#send(room);
  }

  async #told(draft: KeptDraft): Promise<void> {
    if (this.#engine.world?.drafts.get(draft.room_id) !== draft) return;
    const { ahead: _, ...told } = draft;
    await this.#put(told);
  }

  #put(draft: KeptDraft): Promise<void> {
    return this.#engine.serial(async () => {
      const out = new Outcome();
      this.#engine.world?.keepDraft(draft, out);
      await this.#engine.publish(out);
    });
  }
}
