// Times and numbers as people write them. Every function takes the locale and, where
// it matters, `now`: nothing here looks at a clock.

const cache = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale + JSON.stringify(options);
  let made = cache.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat(locale, options);
    cache.set(key, made);
  }
  return made;
}

/** 2:03 PM, 오후 2:03 */
export function clock(locale: string, at: string | number): string {
  const parts = format(locale, { hour: 'numeric', minute: '2-digit' }).formatToParts(new Date(at));
  const korean: Record<string, string> = locale.startsWith('ko') ? { AM: '오전', PM: '오후' } : {};
  // Some versions of the locale data write AM and PM in Korean; people don't.
  return parts.map(({ value }) => korean[value] ?? value).join('');
}

/** Sunday, November 22; with the year when it is another. */
export function dayLine(locale: string, at: string, now: number): string {
  const date = new Date(at);
  const year =
    date.getFullYear() === new Date(now).getFullYear() ? {} : ({ year: 'numeric' } as const);
  return format(locale, { ...year, month: 'long', day: 'numeric', weekday: 'long' }).format(date);
}

/** For tooltips and <time title>. */
export function full(locale: string, at: string | number): string {
  return format(locale, { dateStyle: 'full', timeStyle: 'short' }).format(new Date(at));
}

/** In the room list: the time today, the weekday this week, else the date. */
export function listTime(locale: string, at: string, now: number, yesterday: string): string {
  const date = new Date(at);
  const days = daysBetween(date, new Date(now));
  if (days <= 0) return clock(locale, at);
  if (days === 1) return yesterday;
  if (days < 7) return format(locale, { weekday: 'short' }).format(date);
  if (date.getFullYear() === new Date(now).getFullYear())
    return format(locale, { month: 'short', day: 'numeric' }).format(date);
  return format(locale, { year: 'numeric', month: 'numeric', day: 'numeric' }).format(date);
}

/** 5 minutes ago, 어제 */
export function ago(locale: string, at: string, now: number): string {
  const rtf = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const seconds = Math.min(0, Math.round((Date.parse(at) - now) / 1000));
  if (seconds > -60) return rtf.format(0, 'second');
  if (seconds > -3600) return rtf.format(Math.trunc(seconds / 60), 'minute');
  if (seconds > -86_400) return rtf.format(Math.trunc(seconds / 3600), 'hour');
  return rtf.format(-daysBetween(new Date(at), new Date(now)), 'day');
}

/** A length of time in its largest whole unit: 15 minutes, 2일 */
export function span(locale: string, ms: number): string {
  const units = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ] as const;
  const [unit, size] = units.find(([, size]) => ms >= size && ms % size === 0) ?? units[3];
  const style = { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(locale, style).format(ms / size);
}

export function daysBetween(from: Date, to: Date): number {
  const midnight = (d: Date) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  return Math.round((midnight(to) - midnight(from)) / 86_400_000);
}

export function badge(n: number): string {
  return n > 99 ? '99+' : String(n);
}

/** Up to two letters for an avatar: 민지 → 민지, 김민지 → 민지, Ada Lovelace → AL. */
export function initials(name: string): string {
  const text = name.normalize('NFC').trim();
  if (/^[\uac00-\ud7a3]{2,4}$/u.test(text)) return text.slice(-2);
  const words = text.split(/\s+/u).filter(Boolean);
  const first = firstLetter(words[0] ?? '?');
  const last = words.length > 1 ? firstLetter(words.at(-1) ?? '') : '';
  return (first + last).toLocaleUpperCase();
}

function firstLetter(word: string): string {
  const [first] = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(word);
  return first?.segment ?? '';
}

/** A hue for a person, the same everywhere and for ever. */
export function hueOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  const hues = [20, 52, 148, 190, 235, 268, 305, 345];
  return hues[(hash >>> 0) % hues.length] ?? 250;
}
