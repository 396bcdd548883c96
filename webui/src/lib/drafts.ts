// What was typed and not sent, per room, for as long as this tab's session lives.
const PREFIX = 'natter.draft.';

export const drafts = {
  get(room: string): string {
    try {
      return sessionStorage.getItem(PREFIX + room) ?? '';
    } catch {
      return '';
    }
  },
  set(room: string, text: string): void {
    try {
      if (text) sessionStorage.setItem(PREFIX + room, text);
      else sessionStorage.removeItem(PREFIX + room);
    } catch {
      // No storage: a draft is lost with the page.
    }
  },
  clear(): void {
    try {
      for (const key of Object.keys(sessionStorage))
        if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
    } catch {
      // Nothing was stored then either.
    }
  },
};
