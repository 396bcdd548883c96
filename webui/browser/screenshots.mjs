// npm run screenshots: the app with a day's talk in it, as docs/screenshots/*.png.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Device, launch } from './device.mjs';
import { scenes } from './scenes.mjs';
import { Server } from './server.mjs';

const OUT = resolve(process.env.OUT ?? `${import.meta.dirname}/../../docs/screenshots`);
const desktop = { viewport: { width: 1280, height: 800 } };
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };
const shots = [
  { size: 'desktop', theme: 'light' },
  { size: 'desktop', theme: 'dark' },
  { size: 'phone', theme: 'light' },
  { size: 'phone', theme: 'dark' },
];

mkdirSync(OUT, { recursive: true });
const browser = await launch();
const server = await Server.start();
try {
  for (const language of ['en', 'ko']) await shoot(language);
} finally {
  await browser.close();
  await server.stop();
}

async function shoot(language) {
  const scene = await scenes[language].play(server);
  const crowd = await hold(scene.online);
  for (const { size, theme } of shots) {
    // The sheets need fewer: one light and one dark, each in one language.
    const sheets = (language === 'en') === (theme === 'light');
    const options = {
      ...(size === 'phone' ? phone : desktop),
      colorScheme: theme,
      locale: language === 'ko' ? 'ko-KR' : 'en-US',
      timezoneId: language === 'ko' ? 'Asia/Seoul' : 'Europe/London',
      reducedMotion: 'reduce',
    };
    const device = await Device.open(browser, server.url, options);
    const { page } = device;
    const save = (name) =>
      page.screenshot({ path: `${OUT}/${name}-${size}-${theme}-${language}.png` });
    await page.locator('#password').waitFor();
    await save('sign-in');
    await device.signIn(scene.me.username);
    await device.row(scene.group).waitFor();
    await page.locator('.dot.online').first().waitFor();
    if (size === 'phone') await save('rooms');
    await device.row(scene.group).click();
    await page.getByTestId('message').last().waitFor();
    await save('group');
    if (sheets) {
      await page.locator('section header .icon-btn').last().click();
      await page.getByTestId('member').first().waitFor();
      await save('members');
      await page.keyboard.press('Escape');
      await page.locator('dialog').waitFor({ state: 'detached' });
    }
    if (size === 'phone') await page.locator('section .back').click();
    await device.row(scene.direct).click();
    await page.locator('section').getByRole('heading', { name: scene.direct }).waitFor();
    await page.getByTestId('own-message').first().waitFor();
    await save('room');
    if (sheets) {
      if (size === 'phone') await page.locator('section .back').click();
      await page.locator('nav header .me').click();
      await page.getByTestId('device').first().waitFor();
      await save('settings');
    }
    await device.close();
  }
  await crowd.close();
}

/** Keeps people online: one page with a socket for each. */
async function hold(people) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${server.url}/favicon.svg`);
  for (const { token } of people)
    await page.evaluate((token) => {
      const socket = new WebSocket('/v1/ws', 'natter.v1');
      return new Promise((synced) => {
        socket.onopen = () => socket.send(JSON.stringify({ op: 'hello', ref: '1', token }));
        socket.onmessage = ({ data }) => JSON.parse(data).op === 'synced' && synced();
        setInterval(() => socket.send('{"op":"ping"}'), 5000);
      });
    }, token);
  return context;
}
