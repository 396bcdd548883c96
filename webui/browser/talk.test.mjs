import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Device } from './device.mjs';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();

test('two people, three devices: every message on every screen once, read marks follow', async () => {
  const maya = await s.person('maya', 'Maya');
  const tom = await s.person('tom', 'Tom');
  const tomDesk = await s.another('tom');

  await maya.talkTo('tom');
  await maya.say('Hi Tom');
  await until('Tom’s list has it', async () =>
    (await tom.row('Maya').textContent()).includes('Hi Tom'),
  );
  assert.equal(
    await tom.row('Maya').getByTestId('badge').locator('[aria-hidden]').textContent(),
    '1',
  );
  await until('Tom’s title counts it', async () => (await tom.page.title()) === '(1) natter');

  await tom.enter('Maya');
  await tom.sees('Hi Tom');
  await maya.state('Hi Tom', 'read');
  await until(
    'read on the other device too',
    async () => (await tomDesk.row('Maya').getByTestId('badge').count()) === 0,
  );
  assert.equal(await tom.page.title(), 'natter');

  await tomDesk.enter('Maya');
  await tom.say('Hello from here');
  await tomDesk.sees('Hello from here');
  await tomDesk.say('and from there');
  for (const device of [maya, tom, tomDesk])
    await device.shows('Hi Tom', 'Hello from here', 'and from there');

  await tom.composer().pressSequentially('wait');
  await maya.page.getByText('Tom is typing…').first().waitFor();
  await maya.page.getByTestId('presence').getByText('Online').waitFor();
});

test('a link is a link, markup is text', async () => {
  const ann = await s.person('ann', 'Ann');
  await ann.talkTo('maya');
  const text = '<img src=x onerror=alert(1)> https://natter.example/a?b=1 javascript:alert(1)';
  await ann.say(text);
  await ann.sees(text);
  const links = ann.page.getByTestId('text').locator('a');
  assert.equal(await links.count(), 1);
  assert.equal(await links.getAttribute('href'), 'https://natter.example/a?b=1');
  assert.equal(await links.getAttribute('rel'), 'noopener noreferrer');
  assert.equal(await ann.page.getByTestId('text').locator('img').count(), 0);
});

test('an answer quotes what it answers; the keyboard walks the whole way', async () => {
  const eve = await s.person('eve', 'Eve');
  const { page } = eve;
  await eve.talkTo('maya');
  await eve.say('first');
  await eve.say('second');
  await eve.state('second', 'sent');
  await page.getByTestId('timeline').focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('r');
  await page.getByText('Reply to Eve').waitFor();
  await eve.composer().fill('third');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Go to the message' }).getByText('first').waitFor();
  await page.keyboard.press('Shift+Tab');
  await eve.talkTo('tom');
  await page.keyboard.press('Alt+ArrowUp');
  await page.keyboard.press('Alt+ArrowDown');
  await page.locator('section').getByRole('heading', { name: 'Maya' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('Pick a chat, or start a new one').waitFor();
});

test('two tabs of one browser share one connection and one truth', async () => {
  const ida = await s.person('ida', 'Ida');
  await ida.talkTo('maya');
  await ida.say('from the first tab');
  const second = await ida.context.newPage();
  await second.goto(ida.page.url());
  await second.getByTestId('text').getByText('from the first tab').waitFor();
  await second.getByTestId('composer').fill('from the second');
  await second.getByTestId('composer').press('Enter');
  await ida.sees('from the second');
  const { sessions } = await second.evaluate(async () => (await fetch('/v1/sessions')).json());
  assert.equal(sessions.length, 1);
  await second.close();
});

test('a browser without SharedWorker works too', async () => {
  const context = await s.browser.newContext({ locale: 'en-US' });
  await context.addInitScript(() => {
    delete globalThis.SharedWorker;
  });
  const kim = new Device(context, await context.newPage(), s.server.url);
  s.devices.push(kim);
  await kim.page.goto(s.server.url);
  await kim.signUp('kim', 'Kim');
  await kim.talkTo('maya');
  await kim.say('no worker here');
  await kim.state('no worker here', 'sent');
  await kim.page.reload();
  await kim.sees('no worker here');
});
