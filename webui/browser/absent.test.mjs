import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.mjs';
import { until } from './until.mjs';

const s = stage();

test('a device that was closed catches up, at the first unread, and a reload keeps it all', async () => {
  const maya = await s.person('maya', 'Maya');
  const tom = await s.person('tom', 'Tom');
  await maya.talkTo('tom');
  await maya.say('before');
  await tom.enter('Maya');
  await tom.sees('before');
  await maya.state('before', 'read');

  await tom.page.close();
  const missed = Array.from({ length: 5 }, (_, i) => `missed ${i + 1}`);
  for (const text of missed) await maya.say(text);
  await maya.state('missed 5', 'sent');

  tom.page = await tom.context.newPage();
  await tom.page.goto(tom.url);
  await until(
    'the badge says five',
    async () =>
      (await tom.row('Maya').getByTestId('badge').locator('[aria-hidden]').textContent()) === '5',
  );
  await tom.enter('Maya');
  await tom.shows('before', ...missed);
  const above = await tom.page.evaluate(() => {
    const line = document.querySelector('[data-testid="unread-line"]');
    return line?.nextElementSibling?.textContent?.includes('missed 1');
  });
  assert.equal(above, true);
  await maya.state('missed 5', 'read');

  await tom.page.reload();
  await tom.shows('before', ...missed);
  assert.equal(await tom.page.getByTestId('unread-line').count(), 0);
});

test('offline: what is kept can be read, what is sent waits and goes', async () => {
  const ann = await s.person('ann', 'Ann');
  await ann.talkTo('maya');
  await ann.say('online');
  await ann.state('online', 'sent');
  await s.server.kill();
  await ann.page.getByTestId('banner').getByText('Reconnecting').waitFor();
  await ann.say('in the dark');
  await ann.state('in the dark', 'sending');
  await ann.page.locator('nav').getByText('Sending: in the dark').waitFor();
  await s.server.run();
  await ann.state('in the dark', 'sent');
  await ann.page.getByTestId('banner').getByText('Back online').waitFor();
  await ann.page.getByTestId('banner').waitFor({ state: 'detached' });
});

test('a message is read when it is seen: not in a tab behind another, and at once when it comes to the front', async () => {
  const eve = await s.person('eve', 'Eve');
  const kim = await s.person('kim', 'Kim');
  await eve.talkTo('kim');
  await eve.say('one');
  await kim.enter('Eve');
  await eve.state('one', 'read');
  await kim.page.evaluate(() => {
    document.hasFocus = () => false;
  });
  await eve.say('two');
  await kim.sees('two');
  await until('it counts as unread', async () => (await kim.page.title()) === '(1) natter');
  await eve.state('two', 'delivered');
  assert.equal(await eve.receipt('two').getAttribute('data-state'), 'delivered');
  await kim.page.evaluate(() => {
    delete document.hasFocus;
    dispatchEvent(new Event('focus'));
  });
  await eve.state('two', 'read');
});

test('the server leaves for an update: the banner says so, and nothing is lost', async () => {
  const lee = await s.person('lee', 'Lee');
  await lee.talkTo('maya');
  await lee.say('before the update');
  await lee.state('before the update', 'sent');
  await s.server.leave();
  await lee.page.getByTestId('banner').getByText('The server is being restarted').waitFor();
  await lee.say('during the update');
  await s.server.run();
  await lee.state('during the update', 'sent');
  await lee.page.getByTestId('banner').getByText('Back online').waitFor();
});
