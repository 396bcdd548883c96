import { en } from './en';
import { type Key, type Language, type Params, pickLanguage, translate } from './i18n';
import { ko } from './ko';

export type Theme = 'system' | 'light' | 'dark';

/** What this browser prefers; language and theme apply to the page at once. */
class Prefs {
  theme = $state<Theme>((read('theme') as Theme | null) ?? 'system');
  /** Chosen by the person; otherwise the browser's. */
  chosen = $state<Language | ''>((read('language') as Language | null) ?? '');
  language = $derived(this.chosen || pickLanguage(navigator.languages));

  /** Intl's locale: the browser's variant of our language, for its dates and hours. */
  get locale(): string {
    return navigator.languages.find((tag) => tag.startsWith(this.language)) ?? this.language;
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    write('theme', theme);
  }

  setLanguage(language: Language | ''): void {
    this.chosen = language;
    write('language', language);
  }

  apply(): void {
    document.documentElement.lang = this.language;
    document.documentElement.dataset.theme = this.theme;
  }
}

export const prefs = new Prefs();

export function t(key: Key, params?: Params): string {
  return translate(prefs.language === 'ko' ? ko : en, prefs.locale, key, params);
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(`natter.${key}`);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(`natter.${key}`, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
