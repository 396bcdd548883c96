import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './axe.mjs';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();
let maya;
let tom;

const list = (device, which) => device.page.getByTestId(which).getByTestId('contact');
const open = (device) => device.page.getByTestId('people').click();

async function close(device) {
  await device.page.locator('dialog header .icon-btn').click();
  await device.page.locator('dialog').waitFor({ state: 'detached' });
}

test('asked, seen at once, accepted: friends, with presence', async () => {
  maya = await s.person('maya', 'Maya');
  tom = await s.person('tom', 'Tom');
  await open(maya);
  await maya.page.getByText('No friends yet').waitFor();
  await check(maya.page, 'no friends');
  await maya.page.getByLabel('Find a person').fill('tom');
  await maya.page.getByRole('button', { name: 'Add Tom as a friend' }).click();
  await maya.page.getByRole('button', { name: 'Cancel the request to Tom' }).first().waitFor();

  await tom.page.getByRole('button', { name: 'People, 1 request' }).click();
  await list(tom, 'incoming').getByText('Maya', { exact: true }).waitFor();
  await check(tom.page, 'a request');
  await tom.page.getByRole('button', { name: 'Accept Maya' }).click();
  await list(tom, 'friends').getByText('Maya', { exact: true }).waitFor();
  await list(tom, 'friends').getByText('Online').waitFor();
  await maya.page.getByLabel('Find a person').fill('');
  await list(maya, 'friends').getByText('Online').waitFor();
  await check(maya.page, 'a friend');
  assert.equal(await maya.page.getByTestId('outgoing').count(), 0);
});

test('a request is taken back, and declined', async () => {
  const ann = await s.person('ann', 'Ann');
  const ask = async () => {
    await maya.page.getByLabel('Find a person').fill('ann');
    await maya.page.getByRole('button', { name: 'Add Ann as a friend' }).click();
  };
  await ask();
  await maya.page.getByLabel('Find a person').fill('');
  await list(maya, 'outgoing').getByRole('button').last().click();
  await maya.page.getByTestId('outgoing').waitFor({ state: 'detached' });
  await ask();
  await open(ann);
  await ann.page.getByRole('button', { name: 'Decline Maya' }).click();
  await ann.page.getByTestId('incoming').waitFor({ state: 'detached' });
  await maya.page.getByRole('button', { name: 'Add Ann as a friend' }).click();
  await maya.page.getByText('They have declined. You can ask again later.').waitFor();
});

test('from the list to the talk; from the talk to the friend', async () => {
  await maya.page.getByLabel('Find a person').fill('');
  await list(maya, 'friends').getByText('Tom', { exact: true }).click();
  await maya.page.locator('section').getByRole('heading', { name: 'Tom' }).waitFor();
  await maya.say('Hello friend');
  await close(tom);
  await tom.enter('Maya');
  await tom.sees('Hello friend');
  await tom.page.getByRole('button', { name: 'Chat info' }).click();
  await tom.page.getByTestId('profile').getByText('Friend').waitFor();
  await check(tom.page, 'a profile');
  await tom.page.getByRole('button', { name: 'Remove friend' }).click();
  await tom.page.getByRole('button', { name: 'Add Maya as a friend' }).waitFor();
  await open(maya);
  await maya.page.getByText('No friends yet').waitFor();
  await close(maya);
});

test('a block explains itself to who made it, and to the other one says nothing of it', async () => {
  await tom.page.getByRole('button', { name: 'Block', exact: true }).click();
  await tom.page.getByText('Block Maya?').waitFor();
  await check(tom.page, 'asked before a block');
  await tom.page.getByRole('button', { name: 'Block', exact: true }).click();
  await close(tom);
  const note = tom.page.getByTestId('blocked-note');
  await note.getByText('You have blocked Maya. Neither of you can write here.').waitFor();
  await check(tom.page, 'a blocked room');
  assert.equal(await tom.composer().count(), 0);

  await maya.say('are you there?');
  await maya.page.getByRole('alert').getByText('This chat takes no new messages.').waitFor();
  assert.equal(await maya.page.getByText(/block/i).count(), 0);
  await check(maya.page, 'a refused message');
  await until(
    'no presence',
    async () => (await maya.page.getByTestId('presence').textContent()) === '@tom',
  );

  await tom.page.getByRole('button', { name: 'Settings' }).click();
  await tom.page.getByTestId('blocks').getByText('Maya', { exact: true }).waitFor();
  await check(tom.page, 'settings with blocks');
  await tom.page.getByRole('button', { name: 'Unblock Maya' }).last().click();
  await tom.page.getByText('You have blocked nobody.').waitFor();
  await close(tom);
  await tom.composer().waitFor();
  await maya.page.getByRole('button', { name: 'Retry' }).click();
  await tom.sees('are you there?');
});

test('who sees when one is online is a setting', async () => {
  const said = maya.page.getByTestId('presence');
  await said.getByText('Online').waitFor();
  await tom.page.getByRole('button', { name: 'Settings' }).click();
  await tom.page.getByText('Nobody', { exact: true }).click();
  await tom.page.getByRole('radio', { name: 'Nobody' }).and(tom.page.locator(':checked')).waitFor();
  await close(tom);
  await until('kept', async () => {
    const me = await tom.page.evaluate(async () => (await fetch('/v1/me')).json());
    return me.presence_visibility === 'nobody';
  });
});

test('in a group, everybody has a profile', async () => {
  const lena = await s.person('lena', 'Lena');
  const { users } = await lena.page.evaluate(async () =>
    (await fetch('/v1/users?query=maya')).json(),
  );
  await lena.page.evaluate(
    (member_ids) =>
      fetch('/v1/rooms', {
        method: 'POST',
        headers: { 'X-Natter': '1', 'Content-Type': 'application/json' },
        body: JSON.stringify({ kind: 'group', name: 'Hikers', member_ids }),
      }),
    [users[0].id],
  );
  await lena.enter('Hikers');
  await lena.page.getByRole('button', { name: 'Members' }).click();
  await lena.page.getByRole('button', { name: 'About Maya' }).click();
  await lena.page.getByTestId('profile').getByText('@maya').waitFor();
  await check(lena.page, 'a member’s profile');
  await lena.page.getByRole('button', { name: 'Add Maya as a friend' }).click();
  await lena.page.getByRole('button', { name: 'Cancel the request to Maya' }).waitFor();
  await lena.page.getByRole('button', { name: 'Message', exact: true }).click();
  await lena.page.locator('section').getByRole('heading', { name: 'Maya' }).waitFor();
});
