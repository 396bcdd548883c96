import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Keyboard } from './keyboard.mjs';
import { stage } from './stage.mjs';

const s = stage();

let maya;
let keyboard;

test('a person who writes Korean', async () => {
  await s.server.account('tom', 'Tom');
  maya = await s.person('minji', '김민지', {});
  await maya.talkTo('tom');
  keyboard = await Keyboard.of(maya);
});

async function sent(...texts) {
  await maya.shows(...texts);
  assert.equal(await maya.composer().inputValue(), '');
}

test('Enter in the middle of a syllable sends it whole, once', async () => {
  await maya.composer().focus();
  await keyboard.compose('ㅇ', '아', '안');
  await keyboard.commit('안');
  await keyboard.compose('ㄴ', '녀', '녕');
  await keyboard.enter('rawKeyDown');
  assert.deepEqual(await maya.texts(), [], 'nothing goes while the syllable is in the making');
  await keyboard.commit('녕');
  await keyboard.enter('keyUp');
  await sent('안녕');
});

test('an input method that repeats the Enter after its composition: still once', async () => {
  await keyboard.compose('ㄴ', '네');
  await keyboard.enter('rawKeyDown');
  await keyboard.commit('네');
  await keyboard.enter('keyDown');
  await keyboard.enter('keyUp');
  await sent('안녕', '네');
});

test('a finished word, then Enter', async () => {
  await keyboard.compose('ㄱ', '가');
  await keyboard.commit('가');
  await keyboard.enter('keyDown');
  await keyboard.enter('keyUp');
  await sent('안녕', '네', '가');
});

test('Enter during a composition of Han picks a candidate and sends nothing', async () => {
  await keyboard.compose('にほん', '日本');
  await keyboard.enter('rawKeyDown');
  await keyboard.commit('日本');
  await keyboard.enter('keyUp');
  assert.equal(await maya.composer().inputValue(), '日本');
  await keyboard.enter('keyDown');
  await keyboard.enter('keyUp');
  await sent('안녕', '네', '가', '日本');
});

test('English: Enter sends, Shift+Enter makes a line', async () => {
  const { page } = maya;
  await page.keyboard.type('one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('two');
  await page.keyboard.press('Enter');
  await page.keyboard.type('three');
  await page.keyboard.press('Enter');
  await sent('안녕', '네', '가', '日本', 'one\ntwo', 'three');
});
