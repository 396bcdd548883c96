// What every test of the browser suite starts from: a server, a browser, people.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { front, startCluster } from './cluster.mjs';
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

/** How long a cluster may take for what a person waits for: elections are in it. */
export const BOUND_MS = 60_000;

/**
 * `stage` of three nodes a, b and c, with an address for each of `orders` in front of them,
 * as 'acb': it leads to the first of these that answers. `nodes` and `fronts` are there
 * once the tests run.
 */
export function clusterStage(...orders) {
  const it = { nodes: [], fronts: [], browser: undefined, devices: [] };
  let cluster;
  before(async () => {
    cluster = await startCluster();
    it.nodes = cluster.nodes;
    for (const order of orders)
      it.fronts.push(await front([...order].map((name) => it.nodes['abc'.indexOf(name)])));
    it.browser = await launch();
  });
  after(async () => {
    await it.browser?.close();
    for (const one of it.fronts) await one.close();
    await cluster?.stop();
    for (const device of it.devices) assert.deepEqual(device.errors, [], 'errors in the page');
  });
  /** A new person with one device behind one of the fronts, signed up through the UI. */
  it.person = async (at, username, name) => {
    const device = await Device.open(it.browser, at.url);
    it.devices.push(device);
    device.page.setDefaultTimeout(BOUND_MS);
    await device.signUp(username, name);
    return device;
  };
  return it;
}
