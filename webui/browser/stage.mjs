// What every test of the browser suite starts from: a server, a browser, people.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Device, launch } from './device.mjs';
import { Server } from './server.mjs';

/**
 * Call at the top of a test file; the fields are there once its tests run. What the
 * server is to be told beside the usual stands in `flags`.
 */
export function stage(...flags) {
  const it = { server: undefined, browser: undefined, devices: [] };
  before(async () => {
    it.server = await Server.start(flags);
    it.browser = await launch();
  });
  after(async () => {
    await it.browser?.close();
    await it.server?.stop();
    for (const device of it.devices) assert.deepEqual(device.errors, [], 'errors in the page');
  });
  it.open = async (options) => {
    const device = await Device.open(it.browser, it.server.url, options);
    it.devices.push(device);
    return device;
  };
  /** A new person with one device, signed up through the UI. */
  it.person = async (username, name, options) => {
    const device = await it.open(options);
    await device.signUp(username, name);
    return device;
  };
  /** One more device of somebody who has an account. */
  it.another = async (username, options) => {
    const device = await it.open(options);
    await device.signIn(username);
    return device;
  };
  return it;
}
