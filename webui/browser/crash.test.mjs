import { test } from 'node:test';
import { stage } from './stage.mjs';

const s = stage();

test('the server is killed in the middle of a talk: all that was sent arrives once, in order', async () => {
  const maya = await s.person('maya', 'Maya');
  const tom = await s.person('tom', 'Tom');
  await maya.talkTo('tom');
  await maya.say('0');
  await tom.enter('Maya');
  await tom.sees('0');

  const wanted = ['0'];
  for (let round = 1; round <= 3; round++) {
    // Some are acknowledged, some on their way, some only in the outbox when it dies.
    for (let i = 0; i < 4; i++) {
      wanted.push(`${round}.${i}`);
      await maya.say(`${round}.${i}`);
    }
    await s.server.kill();
    wanted.push(`${round}.dark`);
    await maya.say(`${round}.dark`);
    await s.server.run();
    for (const device of [maya, tom]) await device.shows(...wanted);
  }
  await maya.state('3.dark', 'read');
  await tom.page.reload();
  await tom.shows(...wanted);
});

test('the page is closed with messages in the outbox: they go when it is opened again', async () => {
  const ann = await s.person('ann', 'Ann');
  await ann.talkTo('maya');
  await ann.say('first');
  await ann.state('first', 'sent');
  await s.server.kill();
  await ann.say('kept one');
  await ann.say('kept two');
  await ann.state('kept two', 'sending');
  await ann.page.close();
  await s.server.run();
  ann.page = await ann.context.newPage();
  await ann.page.goto(ann.url);
  await ann.enter('Maya');
  await ann.state('kept two', 'sent');
  await ann.shows('first', 'kept one', 'kept two');
});
