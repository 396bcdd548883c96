import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();
let phone;
let desk;

const holds = (device, text) =>
  until(`"${text}" in the field`, async () => (await device.composer().inputValue()) === text);

test('one person, two devices', async () => {
  const tom = await s.server.account('tom', 'Tom');
  phone = await s.person('maya', 'Maya');
  desk = await s.another('maya');
  await phone.talkTo('tom');
  const { rooms } = await tom.call('GET', '/v1/rooms');
  await tom.call('POST', `/v1/rooms/${rooms[0].room.id}/messages`, { text: 'What do you think?' });
  await phone.sees('What do you think?');
});

test('what rests on one device is in the other’s list, and in its field', async () => {
  await phone.composer().pressSequentially('half a thought');
  await desk.row('Tom').getByText('Draft: half a thought').waitFor();
  await desk.enter('Tom');
  await holds(desk, 'half a thought');
  await desk.composer().pressSequentially(', the other half');
  await holds(phone, 'half a thought, the other half');
});

test('whom it answers comes with it', async () => {
  await desk.message('What do you think?').locator('.bubble').click({ button: 'right' });
  await desk.page.getByTestId('message-menu').getByRole('button', { name: 'Reply' }).click();
  await phone.page.getByText('Reply to Tom').waitFor();
  await desk.page.reload();
  await desk.page.getByText('Reply to Tom').waitFor();
  await holds(desk, 'half a thought, the other half');
});

test('sent on one, it is gone on both', async () => {
  await desk.composer().press('Enter');
  await desk.sees('half a thought, the other half');
  await holds(phone, '');
  await phone.page.getByText('Reply to Tom').waitFor({ state: 'detached' });
  await phone.page.getByRole('button', { name: 'Go to the message' }).waitFor();
  await holds(desk, '');
  await phone.page.keyboard.press('Escape');
  assert.equal(await phone.row('Tom').getByTestId('draft').count(), 0);
  await phone.enter('Tom');
});

test('whoever is composing is not disturbed', async () => {
  const keyboard = await phone.context.newCDPSession(phone.page);
  const composition = { text: '한', selectionStart: 1, selectionEnd: 1 };
  // The phone's other tab shows what the phone has heard.
  const tab = await phone.context.newPage();
  await tab.goto(phone.url);
  await tab.getByTestId('room').waitFor();
  await phone.page.bringToFront();
  await phone.composer().focus();
  await keyboard.send('Input.imeSetComposition', composition);
  await holds(desk, '한');
  await desk.composer().fill('from the desk');
  await desk.page.keyboard.press('Escape');
  await tab.getByText('Draft: from the desk').waitFor();
  assert.equal(await phone.composer().inputValue(), '한');
  await keyboard.send('Input.insertText', { text: '한' });
  await holds(phone, '한');
  await desk.row('Tom').getByText('Draft: 한').waitFor();
  await phone.composer().fill('');
  await desk.row('Tom').getByTestId('draft').waitFor({ state: 'detached' });
});

test('written without the server, it comes when the server does', async () => {
  await s.server.kill();
  await phone.composer().fill('in the dark');
  await phone.page.getByTestId('banner').waitFor();
  await s.server.run();
  await desk.row('Tom').getByText('Draft: in the dark').waitFor();
});
