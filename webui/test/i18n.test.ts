import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { en } from '../src/lib/en';
import { type Key, pickLanguage, type Table, translate } from '../src/lib/i18n';
import { ko } from '../src/lib/ko';

const keys = Object.keys(en) as Key[];
/** The {names} a text uses, plural forms included. */
const names = (text: string) =>
  [...new Set([...text.matchAll(/\{(\w+)(?=[},])/g)].map((m) => m[1]))].sort();

test('Korean says everything that English says, with its parameters', () => {
  expect(Object.keys(ko).sort()).toEqual([...keys].sort());
  for (const key of keys) {
    expect(ko[key].trim(), key).not.toBe('');
    // A language may leave one out where its sentence does without.
    expect(names(en[key]), key).toEqual(expect.arrayContaining(names(ko[key])));
  }
});

test('Korean is Korean, but for the name of the product', () => {
  const latin = keys.filter((key) => !/[\uac00-\ud7a3]/.test(ko[key]) && /[a-z]/i.test(ko[key]));
  // Texts made of parameters only have nothing to translate.
  expect(latin.filter((key) => /[a-z]/i.test(ko[key].replace(/\{\w+\}/g, '')))).toEqual(['app']);
});

test('no particle hangs on a name, since it would change with its last letter', () => {
  for (const key of keys)
    expect(ko[key], key).not.toMatch(/\}[’']?(을|를|이|가|은|는|와|과|으로|로)(\s|$)/u);
});

test('every text is used somewhere', () => {
  const source = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(svelte|ts)$/.test(file) && !/lib\/(en|ko)\.ts$/.test(file))
    .map((file) => readFileSync(`src/${file}`, 'utf8'))
    .join('\n');
  expect(keys.filter((key) => !source.includes(`'${key}'`))).toEqual([]);
});

test('parameters and plurals', () => {
  const t = (table: Table, locale: string, key: Key, params?: Record<string, string | number>) =>
    translate(table, locale, key, params);
  expect(t(en, 'en', 'messageTo', { name: 'Maya' })).toBe('Message Maya');
  expect(t(en, 'en', 'memberCount', { n: 1 })).toBe('1 member');
  expect(t(en, 'en', 'memberCount', { n: 1200 })).toBe('1,200 members');
  expect(t(ko, 'ko', 'memberCount', { n: 3 })).toBe('3명');
  expect(t(ko, 'ko', 'announceMany', { n: 3, name: '민지' })).toBe('민지님의 새 메시지 3개');
});

test('a parameter is text, never a pattern', () => {
  expect(translate(en, 'en', 'theySaid', { name: '{text}', text: '# {n}' })).toBe('{text}: # {n}');
});

test('the language is the first of the browser’s that we speak', () => {
  expect(pickLanguage(['ko-KR', 'en'])).toBe('ko');
  expect(pickLanguage(['fr', 'ko'])).toBe('ko');
  expect(pickLanguage(['fr'])).toBe('en');
});
