const SHOW_MS = 5000;

/** One line at a time, for what went wrong or was done out of sight. */
class Toast {
  said = $state.raw<{ text: string; bad: boolean } | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string, bad = false): void {
    clearTimeout(this.#timer);
    this.said = { text, bad };
    this.#timer = setTimeout(() => this.close(), SHOW_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.said = undefined;
  }
}

export const toast = new Toast();
