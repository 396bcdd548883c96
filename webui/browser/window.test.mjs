import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage('--edit-window', '8s');

/** What the menu of a message offers. */
async function offered(device, text) {
  await device.message(text).locator('.bubble').click({ button: 'right' });
  const menu = device.page.getByTestId('message-menu');
  await menu.waitFor();
  const names = await menu.locator('.item').allInnerTexts();
  await device.page.keyboard.press('Escape');
  await menu.waitFor({ state: 'detached' });
  return names;
}

test('after the window Edit is no longer offered, and one begun before is refused with the reason', async () => {
  await s.server.account('tom', 'Tom');
  const maya = await s.person('maya', 'Maya');
  await maya.talkTo('tom');
  await maya.say('written in stone');
  await maya.state('written in stone', 'sent');
  await maya.composer().press('ArrowUp');
  await maya.page.getByTestId('editing').waitFor();
  await maya.composer().fill('written in sand');
  await until('Edit is not offered', async () => {
    const names = await offered(maya, 'written in stone');
    return names.join() === 'Reply,Copy text,Delete';
  });
  await maya.composer().press('Enter');
  const banner = maya.page.getByTestId('editing');
  await banner.getByText('A message can only be edited for 8 seconds after it was sent.').waitFor();
  assert.equal(await maya.composer().inputValue(), 'written in sand', 'the words are not lost');
  await maya.page.keyboard.press('Escape');
  await maya.composer().press('ArrowUp');
  assert.equal(await banner.count(), 0);
  await maya.shows('written in stone');
});
