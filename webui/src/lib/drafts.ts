import { SvelteMap } from 'svelte/reactivity';

// What was typed and not sent, per person and room. It outlives the page and an
// expired session, and goes when the person signs out.
const PREFIX = 'natter.draft.';

class Drafts {
  #map = new SvelteMap<string, string>();
  #me = '';

  constructor() {
    // Another tab of this browser wrote.
    addEventListener('storage', ({ key }) => {
      if (key === null || key.startsWith(PREFIX)) this.#load();
    });
  }

  /** Whose drafts these are; what another account left here goes. */
  of(me: string): void {
    if (this.#me === me) return;
    this.#me = me;
    this.#drop((key) => !key.startsWith(this.#prefix));
    this.#load();
  }

  get(room: string): string {
    return this.#map.get(room) ?? '';
  }

  set(room: string, text: string): void {
    if (text === this.get(room)) return;
    const kept = text.trim() !== '';
    if (kept) this.#map.set(room, text);
    else this.#map.delete(room);
    try {
      if (kept) localStorage.setItem(this.#prefix + room, text);
      else localStorage.removeItem(this.#prefix + room);
    } catch {
      // No storage, or a full one: the draft is lost with the page.
    }
  }

  /** Forgets everybody's. */
  clear(): void {
    this.#me = '';
    this.#map.clear();
    this.#drop(() => true);
  }

  get #prefix(): string {
    return `${PREFIX}${this.#me}.`;
  }

  #drop(which: (key: string) => boolean): void {
    try {
      for (const key of Object.keys(localStorage))
        if (key.startsWith(PREFIX) && which(key)) localStorage.removeItem(key);
    } catch {
      // Nothing was stored then either.
    }
  }

  #load(): void {
    this.#map.clear();
    if (!this.#me) return;
    try {
      for (const key of Object.keys(localStorage))
        if (key.startsWith(this.#prefix))
          this.#map.set(key.slice(this.#prefix.length), localStorage.getItem(key) ?? '');
    } catch {
      // No storage, no drafts.
    }
  }
}

export const drafts = new Drafts();
