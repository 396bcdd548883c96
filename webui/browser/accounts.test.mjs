import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PASSWORD } from './device.mjs';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();

test('sign-up says what is wrong, at the field', async () => {
  await s.server.account('taken', 'Taken');
  const { page } = await s.open();
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('#username[aria-invalid="true"]:focus').waitFor();
  await page.locator('#username').fill('taken');
  await page.locator('#password').fill('short');
  await page.locator('#password').press('Enter');
  await page.locator('#password-note.error').waitFor();
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#password').press('Enter');
  await page.locator('#username-note').getByText('This username is taken').waitFor();
  await page.locator('#username').fill('fresh');
  await page.locator('#password').press('Enter');
  await page.locator('nav h1').waitFor();
});

test('a wrong password, then the right one; the name is changed and stays', async () => {
  await s.server.account('maya', 'Maya');
  const device = await s.open();
  const { page } = device;
  await page.locator('#username').fill('maya');
  await page.locator('#password').fill('not this one');
  await page.locator('#password').press('Enter');
  await page.getByText('The username or the password is wrong.').waitFor();
  await device.signIn('maya');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Maya Chen');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved').waitFor();
  await page.reload();
  await page.locator('.person').getByText('Maya Chen').waitFor();
});

test('a device signed out from another one goes to the sign-in page and says why', async () => {
  const phone = await s.person('lena', 'Lena');
  const desk = await s.another('lena');
  await desk.page.getByRole('button', { name: 'Settings' }).click();
  await until(
    'two devices in the list',
    async () => (await desk.page.getByTestId('device').count()) === 2,
  );
  await desk.page.getByRole('button', { name: /^Sign out Chrome/ }).click();
  await phone.page.getByText('This device was signed out from another device.').waitFor();
  await until(
    'one device in the list',
    async () => (await desk.page.getByTestId('device').count()) === 1,
  );
});

test('the password is changed: the old one no longer works, other devices are out', async () => {
  const phone = await s.person('oskar', 'Oskar');
  const desk = await s.another('oskar');
  await desk.page.getByRole('button', { name: 'Settings' }).click();
  await desk.page.getByLabel('Current password').fill('wrong wrong wrong');
  await desk.page.getByLabel('New password').fill('another horse 43');
  await desk.page.getByRole('button', { name: 'Change password' }).click();
  await desk.page.getByText('The current password is wrong.').waitFor();
  await desk.page.getByLabel('Current password').fill(PASSWORD);
  await desk.page.getByRole('button', { name: 'Change password' }).click();
  await desk.page.getByText('Password changed.').waitFor();
  await phone.page.locator('#password').waitFor();
});

test('signing out leaves nothing in the browser', async () => {
  const device = await s.person('grace', 'Grace');
  const { page } = device;
  await device.talkTo('maya');
  await device.say('secret words');
  await device.state('secret words', 'sent');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Sign out Removes' }).click();
  await page.locator('#password').waitFor();
  const left = await page.evaluate(async () => {
    const db = await new Promise((ok) => {
      const open = indexedDB.open('natter');
      open.onsuccess = () => ok(open.result);
    });
    const names = [...db.objectStoreNames];
    const counts = names.map(
      (name) =>
        new Promise((ok) => {
          const count = db.transaction(name).objectStore(name).count();
          count.onsuccess = () => ok(count.result);
        }),
    );
    const all = await Promise.all(counts);
    db.close();
    return all;
  });
  assert.deepEqual(left, [0, 0, 0, 0, 0, 0]);
  assert.equal((await page.context().cookies()).length, 0);
});

test('Korean: the browser’s language, the whole way in', async () => {
  const device = await s.open({ locale: 'ko-KR' });
  const { page } = device;
  await page.getByRole('button', { name: '계정 만들기' }).click();
  await page.locator('#username').fill('minji');
  await page.locator('#name').fill('김민지');
  await page.locator('#password').fill(PASSWORD);
  await page.locator('#password').press('Enter');
  await page.getByRole('heading', { name: '채팅', exact: true }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'ko');
  await page.getByRole('button', { name: '설정' }).click();
  await page.getByText('English', { exact: true }).click();
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.getByText('Dark', { exact: true }).click();
  await page.reload();
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
});
