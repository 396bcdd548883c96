import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './axe.mjs';
import { Keyboard } from './keyboard.mjs';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();
let maya;
let tom;

function reacts(device, text, ...wanted) {
  let now = [];
  return until(
    () => `${wanted} under "${text}", there was ${now}`,
    async () => {
      now = await device.reactions(text).catch(() => []);
      return now.join() === wanted.join();
    },
  );
}

test('two people in a room', async () => {
  maya = await s.person('maya', 'Maya');
  tom = await s.person('tom', 'Tom');
  await maya.talkTo('tom');
  for (const text of ['one', 'two', 'three']) await maya.say(text);
  await maya.state('three', 'sent');
  await tom.enter('Maya');
  await tom.shows('one', 'two', 'three');
});

test('a reaction is seen by both at once and after a reload, and taken back', async () => {
  await tom.choose('two', '👍');
  await reacts(tom, 'two', '👍 1*');
  await reacts(maya, 'two', '👍 1');
  await maya.message('two').getByTestId('reaction').click();
  await reacts(maya, 'two', '👍 2*');
  await maya.choose('two', '❤️');
  await reacts(tom, 'two', '👍 2*', '❤️ 1');
  const chip = tom.message('two').getByTestId('reaction').first();
  assert.equal(await chip.getAttribute('aria-label'), '👍 2: You, Maya');
  await tom.page.reload();
  await reacts(tom, 'two', '👍 2*', '❤️ 1');
  await tom.message('two').getByTestId('reaction').first().click();
  await reacts(tom, 'two', '👍 1', '❤️ 1');
  await reacts(maya, 'two', '👍 1*', '❤️ 1*');
});

test('an edit, from the menu: a banner, Esc leaves it, the draft comes back', async () => {
  const { page } = maya;
  await maya.composer().fill('half a thought');
  await maya.choose('one', 'Edit');
  await page.getByTestId('editing').getByText('one').waitFor();
  assert.equal(await maya.composer().inputValue(), 'one');
  await check(page, 'editing');
  await page.keyboard.press('Escape');
  await page.getByTestId('editing').waitFor({ state: 'detached' });
  assert.equal(await maya.composer().inputValue(), 'half a thought');
  await maya.choose('one', 'Edit');
  await maya.composer().fill('uno');
  await page.getByRole('button', { name: 'Save' }).click();
  await tom.shows('uno', 'two', 'three');
  await tom.message('uno').getByText('edited').waitFor();
  assert.equal(await maya.composer().inputValue(), 'half a thought');
  await maya.composer().fill('');
});

test('Up in an empty field edits the last own message, in Korean too', async () => {
  const keyboard = await Keyboard.of(maya);
  await maya.composer().focus();
  await maya.page.keyboard.press('ArrowUp');
  assert.equal(await maya.composer().inputValue(), 'three');
  await maya.page.keyboard.press('Control+a');
  await keyboard.compose('ㅅ', '세', '셋');
  await keyboard.enter('rawKeyDown');
  await tom.shows('uno', 'two', 'three');
  await keyboard.commit('셋');
  await keyboard.enter('keyDown');
  await keyboard.enter('keyUp');
  for (const device of [maya, tom]) await device.shows('uno', 'two', '셋');
  await maya.page.getByTestId('editing').waitFor({ state: 'detached' });
  assert.equal(await maya.composer().inputValue(), '');
  await tom.page.reload();
  await tom.shows('uno', 'two', '셋');
  await tom.message('셋').getByText('edited').waitFor();
});

test('by keyboard alone: E edits, + reacts, Enter opens the menu', async () => {
  const { page } = maya;
  await page.getByTestId('timeline').focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('+');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await reacts(maya, '셋', '😂 1*');
  await reacts(tom, '셋', '😂 1');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.seq), '3', 'focus is back');
  await page.keyboard.press('Enter');
  await page.getByTestId('message-menu').waitFor();
  await check(page, 'menu');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByTestId('editing').waitFor();
  await page.keyboard.press('Escape');
});

test('deleted: asked first, gone for both at once and after a reload', async () => {
  const { page } = maya;
  await maya.choose('two', 'Delete');
  await page.getByText('Delete this message for everyone?').waitFor();
  await check(page, 'delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await maya.choose('two', 'Delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  for (const device of [maya, tom]) await device.shows('uno', '셋');
  await tom.page.reload();
  await tom.shows('uno', '셋');
  await tom.page.getByText('This message was deleted').waitFor();
  await tom.message('uno').locator('.bubble').click({ button: 'right' });
  const names = await tom.page.getByTestId('message-menu').locator('.item').allInnerTexts();
  assert.deepEqual(names, ['Reply', 'Copy text'], 'of another only what one may');
  await tom.page.keyboard.press('Escape');
});

test('without the server nothing is lost: actions say why they wait', async () => {
  const { page } = maya;
  await page.getByTestId('timeline').focus();
  await maya.choose('uno', 'Edit');
  await maya.composer().fill('eins');
  await s.server.kill();
  await page.getByTestId('editing').getByText('This needs a connection').waitFor();
  await maya.composer().press('Enter');
  assert.equal(await maya.composer().inputValue(), 'eins');
  await maya.message('셋').locator('.bubble').click({ button: 'right' });
  const menu = page.getByTestId('message-menu');
  assert.equal(await menu.getByRole('button', { name: 'Delete' }).isDisabled(), true);
  assert.equal(await menu.getByRole('button', { name: 'Reply' }).isDisabled(), false);
  await menu.getByText('This needs a connection').waitFor();
  await page.keyboard.press('Escape');
  await s.server.run();
  await until('it can be saved', () => page.getByRole('button', { name: 'Save' }).isEnabled());
  await maya.composer().press('Enter');
  for (const device of [maya, tom]) await device.shows('eins', '셋');
});

test('a muted room is grey and not in the title; another device hears of it', async () => {
  const desk = await s.another('tom');
  await tom.page.getByRole('button', { name: 'Chat info' }).click();
  await tom.page.getByRole('switch', { name: 'Mute' }).click();
  await tom.page.locator('[role=switch][aria-checked=true]').waitFor();
  await check(tom.page, 'chat info');
  await tom.page.keyboard.press('Escape');
  await tom.page.locator('dialog').waitFor({ state: 'detached' });
  await tom.page.keyboard.press('Escape');
  await maya.say('psst');
  for (const device of [tom, desk]) {
    await device.row('Maya').locator('.badge.quiet').waitFor();
    assert.equal(await device.page.title(), 'natter');
  }
  await check(tom.page, 'a muted room');
});

test('a draft is kept over a reload and stands in the list', async () => {
  await maya.composer().fill('to be continued');
  await maya.page.keyboard.press('Escape');
  await maya.row('Tom').getByText('Draft: to be continued').waitFor();
  await maya.page.reload();
  await maya.row('Tom').getByText('Draft: to be continued').waitFor();
  await maya.enter('Tom');
  assert.equal(await maya.composer().inputValue(), 'to be continued');
  await maya.composer().press('Enter');
  await maya.sees('to be continued');
  await maya.page.keyboard.press('Escape');
  await maya.row('Tom').getByText('You: to be continued').waitFor();
});

test('a finger: a long press opens the menu, so does the button after a touch', async () => {
  const phone = await s.another('tom', {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  });
  const { page } = phone;
  await phone.enter('Maya');
  await phone.sees('eins');
  const touch = await phone.context.newCDPSession(page);
  const box = await phone.message('eins').locator('.bubble').boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [at] });
  const menu = page.getByTestId('message-menu');
  await menu.waitFor();
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await menu.getByRole('button', { name: '🙏' }).tap();
  await reacts(phone, 'eins', '🙏 1*');
  await phone.message('eins').locator('.bubble').tap();
  await phone.message('eins').getByRole('button', { name: 'Message actions' }).tap();
  await menu.waitFor();
  await check(page, 'menu on a phone');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `scrolls sideways by ${wide} px`);
});
