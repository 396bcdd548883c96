// A browser as a person uses it: one profile, one tab, hands on the keyboard.
import { chromium } from 'playwright-core';
import { until } from './until.mjs';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const STATES = ['', 'sending', 'sent', 'delivered', 'read'];
export const PASSWORD = 'correct horse 42';

export function launch() {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--no-sandbox',
      '--headless',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export class Device {
  constructor(context, page, url) {
    this.context = context;
    this.page = page;
    this.url = url;
    /** Errors the page reported; a test ends by finding none. */
    this.errors = [];
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (message) => {
      // Not reaching a killed server is the point of some tests.
      const network = /Failed to load resource|WebSocket connection/.test(message.text());
      if (message.type() === 'error' && !network) this.errors.push(message.text());
    });
  }

  static async open(browser, url, options = {}) {
    const context = await browser.newContext({
      locale: 'en-US',
      viewport: { width: 1100, height: 760 },
      ...options,
    });
    const page = await context.newPage();
    await page.goto(url);
    return new Device(context, page, url);
  }

  async signUp(username, name) {
    const { page } = this;
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByLabel('Username').fill(username);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Password', { exact: true }).press('Enter');
    await page.locator('nav h1').waitFor();
  }

  async signIn(username) {
    const { page } = this;
    await page.locator('#username').fill(username);
    await page.locator('#password').fill(PASSWORD);
    await page.locator('#password').press('Enter');
    await page.locator('nav h1').waitFor();
  }

  /** Finds somebody by username and opens the direct room with them. */
  async talkTo(username) {
    const { page } = this;
    await page.getByRole('button', { name: 'New chat' }).first().click();
    await page.getByLabel('Find a person').fill(username);
    await this.pick(username);
    await page.locator('dialog').waitFor({ state: 'detached' });
    await this.composer().waitFor();
  }

  async pick(username) {
    await this.page
      .getByTestId('person')
      .filter({ hasText: `@${username}` })
      .click();
  }

  /** Opens a room from the list by its name. */
  async enter(name) {
    await this.row(name).click();
    await this.page.locator('section').getByRole('heading', { name }).waitFor();
    await this.composer().waitFor();
  }

  row(name) {
    return this.page.getByTestId('room').filter({ hasText: name });
  }

  composer() {
    return this.page.getByTestId('composer');
  }

  async say(text) {
    await this.composer().fill(text);
    await this.composer().press('Enter');
  }

  /** The messages on screen, top to bottom. */
  texts() {
    return this.page.getByTestId('text').allInnerTexts();
  }

  /** Waits until exactly these are on screen, in this order. */
  async shows(...wanted) {
    let now = [];
    await until(
      () => `on screen ${JSON.stringify(wanted)}, there was ${JSON.stringify(now)}`,
      async () => {
        now = await this.texts();
        return now.join('|') === wanted.join('|');
      },
    );
  }

  sees(text, times = 1) {
    return until(
      `${times} × "${text}" on screen`,
      async () => (await this.texts()).filter((t) => t === text).length === times,
    );
  }

  /** The row of a message, anybody's. */
  message(text) {
    const row = this.page.locator('[data-message]');
    return row.filter({ has: this.page.getByTestId('text').getByText(text, { exact: true }) });
  }

  /** Opens a message's menu with the mouse and picks from it. */
  async choose(text, name) {
    await this.message(text).locator('.bubble').click({ button: 'right' });
    await this.page.getByTestId('message-menu').getByRole('button', { name }).click();
  }

  /** What stands under a message: '👍 2', one's own with a star. */
  reactions(text) {
    const chips = this.message(text).getByTestId('reaction');
    return chips.evaluateAll((all) =>
      all.map((chip) => {
        const [emoji, count] = [...chip.children].map((child) => child.textContent);
        return `${emoji} ${count}${chip.ariaPressed === 'true' ? '*' : ''}`;
      }),
    );
  }

  receipt(text) {
    const message = this.page.getByTestId('own-message').filter({ hasText: text }).last();
    return message.getByTestId('state');
  }

  /** The receipt beside one's own message has come this far, or further. */
  async state(text, state) {
    const receipt = this.receipt(text);
    await until(`"${text}" is ${state}`, async () => {
      const now = await receipt.getAttribute('data-state', { timeout: 1000 }).catch(() => '');
      return STATES.indexOf(now) >= STATES.indexOf(state);
    });
  }

  async close() {
    await this.context.close();
  }
}
