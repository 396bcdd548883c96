import type { Message } from '../wire';
import { app } from './app.svelte';

const PAGE = 60;
/** More than this many are not kept in the page; the far end is let go. */
export const WINDOW = 300;
const HOLE_RETRIES = 5;

/**
 * One room's window onto its messages: an unbroken run of seqs, somewhere in the
 * room, or at its end. At the end it takes in what arrives; elsewhere it doesn't,
 * and `moreAfter` says that there is more below.
 */
export class Timeline {
  messages = $state.raw<Message[]>([]);
  moreBefore = $state(false);
  moreAfter = $state(false);
  loading = $state<'' | 'first' | 'before' | 'after'>('first');
  failed = $state(false);
  /** The first unread when the room was opened; the line stays until it is left. */
  unreadFrom = $state<number | undefined>();

  readonly room: string;
  #filling = false;
  #closed = false;
  #stop: () => void;

  constructor(room: string) {
    this.room = room;
    this.#stop = app.listen({
      messages: (messages) => this.#receive(messages.filter((m) => m.room_id === room)),
      fresh: () => {},
      reset: () => void this.latest(),
    });
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  /** At the first unread if there is one, else at the end. */
  async open(): Promise<void> {
    const entry = app.rooms.get(this.room);
    const unread = entry?.unread ?? 0;
    if (entry && unread > 0) this.unreadFrom = entry.read_seq + 1;
    if (entry && unread > PAGE / 2) await this.#load({ around: entry.read_seq + 1 });
    else await this.latest();
  }

  latest(): Promise<void> {
    return this.#load({});
  }

  around(seq: number): Promise<void> {
    return this.#load({ around: seq });
  }

  async older(): Promise<void> {
    const first = this.messages[0];
    if (!first || !this.moreBefore || this.loading) return;
    await this.#page('before', { before: first.seq }, (got, page) => {
      const all = [...got, ...this.messages];
      this.moreBefore = page.more_before && got.length > 0;
      if (all.length > WINDOW) this.moreAfter = true;
      this.messages = all.slice(0, WINDOW);
    });
  }

  async newer(): Promise<void> {
    const last = this.messages.at(-1);
    if (!last || !this.moreAfter || this.loading) return;
    await this.#page('after', { after: last.seq }, (got, page) => {
      const all = [...this.messages, ...got];
      this.moreAfter = page.more_after && got.length > 0;
      if (all.length > WINDOW) this.moreBefore = true;
      this.messages = all.slice(-WINDOW);
    });
  }

  /** Lets go of the far past while the reader stands at the end. */
  trim(): void {
    if (this.moreAfter || this.messages.length <= WINDOW) return;
    this.messages = this.messages.slice(-PAGE * 2);
    this.moreBefore = true;
  }

  async #load(where: { around?: number }): Promise<void> {
    await this.#page('first', where, (got, page) => {
      this.messages = got;
      this.moreBefore = page.more_before;
      this.moreAfter = page.more_after;
    });
    const last = app.rooms.get(this.room)?.last_seq ?? 0;
    if (!this.failed && !this.moreAfter && last > (this.messages.at(-1)?.seq ?? last)) {
      // Something came while the page was on its way.
      this.moreAfter = true;
      await this.newer();
    }
    this.#fill();
  }

  async #page(
    what: 'first' | 'before' | 'after',
    where: { before?: number; after?: number; around?: number },
    take: (got: Message[], page: { more_before: boolean; more_after: boolean }) => void,
  ): Promise<void> {
    this.loading = what;
    try {
      const page = await app.calls.page(this.room, where, PAGE);
      if (this.#closed) return;
      this.failed = false;
      take(page.messages, page);
    } catch {
      this.failed = true;
    } finally {
      this.loading = '';
    }
  }

  #receive(news: Message[]): void {
    if (!news.length || this.loading === 'first') return;
    const bySeq = new Map(this.messages.map((m) => [m.seq, m]));
    const first = this.messages[0]?.seq ?? 1;
    let changed = false;
    for (const message of news) {
      if (!bySeq.has(message.seq) && (this.moreAfter || message.seq < first)) continue;
      bySeq.set(message.seq, message);
      changed = true;
    }
    if (!changed) return;
    this.messages = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
    this.#fill();
  }

  /** Seqs have no holes, so a hole here is a message that went past us: fetch it. */
  #fill(tries = 0): void {
    const gap = this.messages.findIndex(
      (m, i) => i > 0 && m.seq !== (this.messages[i - 1]?.seq ?? 0) + 1,
    );
    if (gap < 0 || this.#filling || this.#closed || tries > HOLE_RETRIES) return;
    this.#filling = true;
    setTimeout(
      async () => {
        const after = this.messages[gap - 1]?.seq ?? 0;
        try {
          const page = await app.calls.page(this.room, { after }, PAGE);
          this.#filling = false;
          this.#receive(page.messages);
        } catch {
          this.#filling = false;
        }
        this.#fill(tries + 1);
      },
      150 * 2 ** tries,
    );
  }
}
