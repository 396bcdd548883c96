import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './axe.mjs';
import { Keyboard } from './keyboard.mjs';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();
let maya;
let minji;
let keyboard;

const list = (device) => device.page.getByTestId('mention-list');
const active = (device) => list(device).locator('[aria-selected=true]');

/** Waits until the list offers exactly these names. */
async function offers(device, ...wanted) {
  let now = [];
  await until(
    () => `offered ${wanted}, there was ${now}`,
    async () => {
      now = await list(device).locator('strong').allInnerTexts();
      return now.join() === wanted.join();
    },
  );
}

test('a group of three', async () => {
  maya = await s.person('maya', 'Maya');
  const korean = await s.server.account('minji', '김민지');
  minji = await s.another('minji', { locale: 'ko-KR' });
  const tom = await s.server.account('tom', 'Tom Becker');
  const { users } = await tom.call('GET', '/v1/users?query=maya');
  const member_ids = [korean.id, users[0].id];
  await tom.call('POST', '/v1/rooms', { kind: 'group', name: 'Hikers', member_ids });
  await maya.enter('Hikers');
  keyboard = await Keyboard.of(maya);
});

test('@ opens a list of the others; arrows, Enter, Tab and Esc work in it', async () => {
  const { page } = maya;
  await maya.composer().pressSequentially('hi @');
  await offers(maya, 'Tom Becker', '김민지');
  await check(page, 'mention list');
  const described = await maya.composer().getAttribute('aria-activedescendant');
  assert.equal(described, await active(maya).getAttribute('id'));
  await page.keyboard.press('ArrowDown');
  await active(maya).getByText('김민지').waitFor();
  await page.keyboard.press('ArrowDown');
  await active(maya).getByText('Tom Becker').waitFor();
  await page.keyboard.press('Enter');
  assert.equal(await maya.composer().inputValue(), 'hi @tom ');
  await list(maya).waitFor({ state: 'detached' });

  await maya.composer().pressSequentially('and @min');
  await offers(maya, '김민지');
  await page.keyboard.press('Escape');
  await list(maya).waitFor({ state: 'detached' });
  await page.keyboard.type('j');
  assert.equal(await list(maya).count(), 0, 'dismissed for this word');
  await page.keyboard.type('i @min');
  await offers(maya, '김민지');
  await page.keyboard.press('Tab');
  assert.equal(await maya.composer().inputValue(), 'hi @tom and @minji @minji ');
  await page.keyboard.press('Control+z');
  assert.equal(await maya.composer().inputValue(), 'hi @tom and @minji @min', 'can be undone');
  await maya.composer().fill('');
});

test('a Korean name is found while it is composed, and Enter takes it whole', async () => {
  await maya.composer().focus();
  await maya.page.keyboard.type('@');
  for (const state of ['ㄱ', '기', '김']) {
    await keyboard.compose(state);
    await offers(maya, '김민지');
  }
  await keyboard.commit('김');
  await keyboard.compose('ㅁ', '미');
  await offers(maya, '김민지');
  await keyboard.enter('rawKeyDown');
  await keyboard.commit('미');
  await keyboard.enter('keyUp');
  await until('taken', async () => (await maya.composer().inputValue()) === '@minji ');
  assert.deepEqual(await maya.texts(), [], 'nothing was sent');
  await maya.composer().fill('');
});

test('an input method that repeats the Enter: taken once, nothing sent, no new line', async () => {
  await maya.composer().focus();
  await maya.page.keyboard.type('@');
  await keyboard.compose('미', '민');
  await offers(maya, '김민지');
  await keyboard.enter('rawKeyDown');
  await keyboard.commit('민');
  await keyboard.enter('keyDown');
  await keyboard.enter('keyUp');
  await until('taken', async () => (await maya.composer().inputValue()) === '@minji ');
  assert.deepEqual(await maya.texts(), []);
  await maya.composer().fill('');
});

test('a click takes a name out of the middle of a composition', async () => {
  await maya.composer().focus();
  await maya.page.keyboard.type('@');
  await keyboard.compose('미');
  await offers(maya, '김민지');
  await list(maya).getByRole('option').first().click();
  await until('taken', async () => (await maya.composer().inputValue()) === '@minji ');
  assert.equal(await maya.composer().evaluate((e) => e === document.activeElement), true);
  await maya.page.keyboard.type('hello');
  await maya.page.keyboard.press('Enter');
  await maya.sees('@minji hello');
});

test('a finger takes a name too', async () => {
  const phone = await s.another('maya', {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  });
  await phone.enter('Hikers');
  await phone.composer().pressSequentially('@to');
  await offers(phone, 'Tom Becker');
  await check(phone.page, 'mention list on a phone');
  await list(phone).getByRole('option').first().tap();
  assert.equal(await phone.composer().inputValue(), '@tom ');
  await phone.close();
});

test('who is mentioned sees it: in the text, in the list, in the title, muted or not', async () => {
  const chip = (device, text) => device.message(text).getByTestId('mention');
  assert.equal(await chip(maya, '@minji hello').getAttribute('title'), '김민지');
  await minji.row('Hikers').getByTestId('mentioned').waitFor();
  await until('the title says so', async () => (await minji.page.title()) === '(@2) natter');
  await check(minji.page, 'a mention in the list');
  await minji.enter('Hikers');
  await minji.sees('@minji hello');
  await chip(minji, '@minji hello').and(minji.page.locator('.me')).waitFor();
  await check(minji.page, 'a mention');
  await minji.row('Hikers').getByTestId('mentioned').waitFor({ state: 'detached' });
  await until('nothing is left', async () => (await minji.page.title()) === 'natter');

  await minji.page.getByRole('button', { name: '참여자' }).click();
  await minji.page.getByTestId('mute').click();
  await minji.page.locator('[role=switch][aria-checked=true]').waitFor();
  await minji.page.keyboard.press('Escape');
  await minji.page.locator('dialog').waitFor({ state: 'detached' });
  await minji.page.keyboard.press('Escape');
  await maya.say('nobody in particular');
  await minji.row('Hikers').locator('.badge.quiet').waitFor();
  assert.equal(await minji.page.title(), 'natter');
  await maya.say('psst @minji');
  await minji.row('Hikers').getByTestId('mentioned').waitFor();
  await until('the title says so', async () => (await minji.page.title()) === '(@) natter');
});

test('a new device learns of it from the past', async () => {
  const desk = await s.another('minji');
  await desk.row('Hikers').getByTestId('mentioned').waitFor();
  await desk.enter('Hikers');
  await desk.row('Hikers').getByTestId('mentioned').waitFor({ state: 'detached' });
  await minji.row('Hikers').getByTestId('mentioned').waitFor({ state: 'detached' });
});
