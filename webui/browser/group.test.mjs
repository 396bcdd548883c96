import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();

test('a group: made, talked in, counted, changed and left', async () => {
  const maya = await s.person('maya', 'Maya');
  const tom = await s.person('tom', 'Tom');
  const lena = await s.person('lena', 'Lena');
  await s.server.account('oskar', 'Oskar');

  const { page } = maya;
  await page.getByRole('button', { name: 'New chat' }).first().click();
  await page.getByRole('button', { name: 'New group' }).click();
  await page.getByPlaceholder('Group name').fill('Hikers');
  for (const name of ['tom', 'lena']) {
    await page.getByLabel('Find a person').fill(name);
    await maya.pick(name);
  }
  await page.getByText('2 people chosen').waitFor();
  await page.getByRole('button', { name: 'Create group' }).click();
  await page.getByText('Maya created the group “Hikers”').last().waitFor();

  await maya.say('Saturday?');
  const count = maya.page
    .getByTestId('own-message')
    .last()
    .getByTestId('unread-by')
    .locator('[aria-hidden]');
  await until('two have not read', async () => (await count.textContent()) === '2');
  await tom.enter('Hikers');
  await until('one has not read', async () => (await count.textContent()) === '1');
  await lena.enter('Hikers');
  await count.waitFor({ state: 'detached' });

  await tom.say('Saturday!');
  await maya.sees('Saturday!');
  await maya.page.getByTestId('message').getByText('Tom', { exact: true }).waitFor();

  await page.getByRole('button', { name: 'Members' }).click();
  await page.getByRole('button', { name: 'Add people' }).click();
  await page.getByLabel('Find a person').fill('oskar');
  await maya.pick('oskar');
  await until('four members', async () => (await page.getByTestId('member').count()) === 4);
  await page.getByRole('button', { name: 'Manage Tom' }).click();
  await page.getByRole('button', { name: 'Make admin' }).click();
  await page.getByTestId('member').filter({ hasText: '@tom' }).getByText('Admin').waitFor();
  await page.getByRole('button', { name: 'Manage Oskar' }).click();
  await page.getByRole('button', { name: 'Remove from group' }).click();
  await until('three members', async () => (await page.getByTestId('member').count()) === 3);
  await page.getByRole('button', { name: 'Rename group' }).click();
  await page.getByLabel('Group name').fill('Walkers');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'Close' }).click();
  await tom.row('Walkers').waitFor();
  await tom.page.getByTestId('timeline').getByText('Maya renamed the group to “Walkers”').waitFor();
  await tom.page.getByTestId('timeline').getByText('Maya removed Oskar').waitFor();

  await lena.page.getByRole('button', { name: 'Members' }).click();
  await lena.page.getByRole('button', { name: 'Leave group' }).click();
  await lena.page.getByRole('button', { name: 'Leave', exact: true }).click();
  await lena.page.getByText('No chats yet').waitFor();
  await until(
    'two are left',
    async () => (await page.getByTestId('presence').textContent()) === '2 members',
  );
  await maya.page.getByTestId('timeline').getByText('Lena left').waitFor();
  assert.equal(await lena.page.getByTestId('room').count(), 0);
});

test('what new members see: chosen when it is made, changed later, told in the room', async () => {
  const ann = await s.person('ann', 'Ann');
  const { page } = ann;
  await page.getByRole('button', { name: 'New chat' }).first().click();
  await page.getByRole('button', { name: 'New group' }).click();
  await page.getByPlaceholder('Group name').fill('Readers');
  const see = page.getByRole('switch', { name: 'New members see earlier messages' });
  assert.equal(await see.getAttribute('aria-checked'), 'false');
  await see.click();
  await page.getByRole('button', { name: 'Create group' }).click();
  await ann.composer().waitFor();
  await ann.say('Welcome, whoever comes');
  await ann.shows('Welcome, whoever comes');

  const add = async (username) => {
    await page.getByRole('button', { name: 'Members' }).click();
    await page.getByRole('button', { name: 'Add people' }).click();
    await page.getByLabel('Find a person').fill(username);
    await ann.pick(username);
    await page
      .getByTestId('member')
      .filter({ hasText: `@${username}` })
      .waitFor();
  };
  const early = await s.person('early', 'Early');
  await add('early');
  await early.enter('Readers');
  await early.shows('Welcome, whoever comes');
  await early.page.getByRole('button', { name: 'Members' }).click();
  await early.page.getByText('New members see earlier messages.').waitFor();

  assert.equal(await see.getAttribute('aria-checked'), 'true');
  await see.click();
  await page.locator('[data-testid=history][aria-checked=false]').waitFor();
  await page.getByRole('button', { name: 'Close' }).click();
  const told = 'Ann lets people who join see only what is said from then on';
  await ann.page.getByTestId('timeline').getByText(told).waitFor();
  await early.page.getByText('New members see only what is said after they join.').waitFor();

  const late = await s.person('late', 'Late');
  await add('late');
  await page.getByRole('button', { name: 'Close' }).click();
  await ann.say('Hello, Late');
  await late.enter('Readers');
  await late.shows('Hello, Late');
});
