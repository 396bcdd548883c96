import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './axe.mjs';
import { scenes } from './scenes.mjs';
import { stage } from './stage.mjs';

const s = stage();
const ready = {};

for (const [language, theme, size] of [
  ['en', 'light', { width: 1280, height: 800 }],
  ['ko', 'dark', { width: 1280, height: 800 }],
  ['ko', 'light', { width: 390, height: 844 }],
  ['en', 'dark', { width: 320, height: 640 }],
])
  test(`every screen, ${language}, ${theme}, ${size.width} px wide`, async () => {
    ready[language] ??= await scenes[language].play(s.server);
    const scene = ready[language];
    const device = await s.open({
      viewport: size,
      colorScheme: theme,
      locale: language,
      reducedMotion: 'reduce',
    });
    const { page } = device;
    const phone = size.width < 720;

    await page.locator('#password').waitFor();
    await check(page, 'sign-in');
    await page.locator('.turn button').click();
    await page.locator('form .go').click();
    await page.locator('#username[aria-invalid]').waitFor();
    await check(page, 'sign-up with errors');
    await page.locator('.turn button').click();
    await device.signIn(scene.me.username);
    await device.row(scene.group).waitFor();
    await check(page, 'rooms');
    await device.row(scene.group).click();
    await page.getByTestId('message').last().waitFor();
    await check(page, 'group');
    await page.locator('section header .icon-btn').last().click();
    await page.getByTestId('member').first().waitFor();
    await check(page, 'members');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    if (phone) await page.locator('section .back').click();
    await device.row(scene.direct).click();
    await page.getByTestId('own-message').first().waitFor();
    await check(page, 'room');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `scrolls sideways by ${wide} px`);
    if (phone) await page.locator('section .back').click();
    await page.getByTestId('people').click();
    await page.locator('dialog h3').waitFor();
    await check(page, 'people');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator('nav header .icon-btn').first().click();
    await page.locator('dialog .group').click();
    await page.locator('#group-name').waitFor();
    await check(page, 'new group');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator('nav header .me').click();
    await page.getByTestId('device').first().waitFor();
    await check(page, 'settings');
  });
