import type { User } from '../wire';
import { suggest, type Token, tokenAt } from './mention';

/** The list of people under an @ in the composer: when it is open, and where in it one is. */
export class Suggestions {
  #people: () => User[];
  #token = $state.raw<Token | undefined>();
  #dismissed: number | undefined;
  active = $state(0);
  options = $derived.by(() => (this.#token ? suggest(this.#people(), this.#token.query) : []));
  open = $derived(this.options.length > 0);
  chosen = $derived(this.options[Math.min(this.active, this.options.length - 1)]);

  /** The name stands there in full already. */
  exact = $derived(
    this.chosen?.username.toLowerCase() === this.#token?.query.toLowerCase().normalize('NFC'),
  );

  constructor(people: () => User[]) {
    this.#people = people;
  }

  /** The text or the caret has changed. Only writing opens the list; moving away closes it. */
  look(text: string, caret: number, wrote: boolean): void {
    const token = tokenAt(text, caret);
    if (token?.start !== this.#dismissed) this.#dismissed = undefined;
    const goesOn = token && token.start === this.#token?.start;
    if (!token || this.#dismissed !== undefined || (!wrote && !goesOn)) {
      this.#token = undefined;
      return;
    }
    if (token.query !== this.#token?.query) this.active = 0;
    this.#token = token;
  }

  move(step: number): void {
    const n = this.options.length;
    if (n) this.active = (Math.min(this.active, n - 1) + step + n) % n;
  }

  /** Not for this @: it stays closed until another is written. */
  dismiss(): void {
    this.#dismissed = this.#token?.start;
    this.#token = undefined;
  }

  /** What the choice replaces: from the @ to the caret. */
  take(): number | undefined {
    const start = this.#token?.start;
    this.#token = undefined;
    return start;
  }
}
