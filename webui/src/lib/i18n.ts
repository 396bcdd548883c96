import type { en } from './en';

export type Key = keyof typeof en;
export type Params = Record<string, string | number>;
export type Table = Record<Key, string>;

/**
 * A message is text with {name}, and {n, plural, one {# person} other {# people}}:
 * the two parts of ICU that our texts need. `#` is the number, written as the locale
 * writes it.
 */
export function translate(table: Table, locale: string, key: Key, params: Params = {}): string {
  return fill(table[key], locale, params);
}

function fill(text: string, locale: string, params: Params, count?: number): string {
  let out = '';
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    if (char === '#' && count !== undefined) {
      out += new Intl.NumberFormat(locale).format(count);
      at++;
    } else if (char === '{') {
      const end = closing(text, at);
      out += value(text.slice(at + 1, end), locale, params);
      at = end + 1;
    } else {
      out += char;
      at++;
    }
  }
  return out;
}

function value(body: string, locale: string, params: Params): string {
  const plural = /^(\w+), plural, /.exec(body);
  if (!plural) return String(params[body] ?? `{${body}}`);
  const n = Number(params[plural[1] ?? '']);
  const forms = formsOf(body.slice(plural[0].length));
  const form = forms.get(new Intl.PluralRules(locale).select(n)) ?? forms.get('other') ?? '';
  return fill(form, locale, params, n);
}

function formsOf(text: string): Map<string, string> {
  const forms = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('{', at);
    if (open < 0) break;
    const end = closing(text, open);
    forms.set(text.slice(at, open).trim(), text.slice(open + 1, end));
    at = end + 1;
  }
  return forms;
}

function closing(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return text.length;
}

export type Language = 'en' | 'ko';

/** The first of the browser's languages that we speak. */
export function pickLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    if (tag.toLowerCase().startsWith('ko')) return 'ko';
    if (tag.toLowerCase().startsWith('en')) return 'en';
  }
  return 'en';
}
