import type { Limits, Me, Node, Presence, Problem, RoomEntry, Session } from '../wire';
import { type Api, problemOf } from './api';
import { fullJitter } from './backoff';
import type { OutboxItem, Store } from './db';
import { Drafts } from './drafts';
import { Intake } from './intake';
import { type Clock, Link, type Socket } from './link';
import { elsewhere } from './nodes';
import { Outbox } from './outbox';
import type { Auth, Conn, News } from './port';
import { Requests } from './requests';
import { uuidv7 } from './uuid';
import { Outcome, World } from './world';

export interface Deps {
  store: Store;
  api: Api;
  clock: Clock;
  /** Where this page is from. */
  origin: string;
  openSocket: () => Socket;
  /** Tells every tab. */
  tell: (news: News) => void;
}

/**
 * One per browser: the socket, the queue of events, the outbox, what is kept.
 *
 *   socket ─ frames ─▶ Intake ─▶ World.apply → Outcome
 *                                        │ one transaction: changes + cursor
 *                                        ▼
 *                                  Store ─▶ tell tabs ─▶ ack
 *
 * Everything that changes the World goes through `serial`, one job after another:
 * stored, then told, in the order it came.
 */
export class Engine {
  readonly deps: Deps;
  readonly link: Link;
  readonly outbox: Outbox;
  readonly drafts: Drafts;
  readonly requests: Requests;
  readonly intake: Intake;
  world: World | undefined;
  auth: Auth = { state: 'starting' };
  conn: Conn = { phase: 'idle' };
  deviceId = '';
  clockOffset = 0;
  limits: Limits = {};
  nodes: Node[] = [];
  /** The node we are, or were last, connected to. */
  node: string | undefined;
  cursor: string | undefined;
  /** Read marks not yet confirmed by the server: room → seq. */
  reads = new Map<string, number>();
  presence = new Map<string, Presence>();
  /** Called with each frame that is news of the moment, and when live. */
  onLive = () => {};
  onUnknown = (_out: Outcome) => {};
  /** Called when the rooms came as a list: what is unread in them was not told. */
  onListed = () => {};
  onContacts = () => {};

  #tail: Promise<unknown> = Promise.resolve();
  #startTries = 0;

  constructor(deps: Deps) {
    this.deps = deps;
    this.intake = new Intake(this);
    this.drafts = new Drafts(this);
    this.link = new Link(deps.openSocket, deps.clock, {
      phase: (phase, reason) => {
        const moving = phase !== 'live' && this.conn.moving;
        this.conn = { phase, reason, ...(moving && { moving }) };
        if (phase !== 'live' && phase !== 'syncing') {
          this.intake.drop();
          this.outbox.lost();
          this.requests.lost();
        }
        deps.tell({ conn: this.conn });
      },
      hello: () => ({ cursor: this.cursor }),
      frame: (frame) => this.intake.frame(frame),
      signedOut: (reason) => void this.signedOut(reason),
    });
    this.requests = new Requests((frame) => this.link.send(frame), deps.clock);
    this.outbox = new Outbox(
      {
        items: () => this.world?.outbox ?? [],
        put: (frame) => this.link.send(frame),
        refused: (item, problem) => this.#refused(item, problem),
      },
      deps.clock,
    );
  }

  /** Runs jobs one after another; a failed one doesn't stop the next. */
  serial<T>(job: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(job, job);
    this.#tail = run.catch(() => {});
    return run;
  }

  serverNow(): number {
    return this.deps.clock.now() + this.clockOffset;
  }

  async start(): Promise<void> {
    const { saved, rooms, users, outbox, drafts } = await this.deps.store.load();
    this.clockOffset = saved.clock_offset ?? 0;
    this.limits = saved.limits ?? {};
    this.nodes = saved.nodes ?? [];
    this.node = saved.node;
    if (saved.me) {
      const world = new World(saved.me);
      for (const entry of rooms) world.rooms.set(entry.room.id, entry);
      for (const user of users) world.users.set(user.id, user);
      world.outbox = outbox;
      world.peopleKnown = saved.contacts !== undefined;
      for (const contact of saved.contacts ?? []) world.contacts.set(contact.user.id, contact);
      for (const id of saved.blocks ?? []) world.blocks.add(id);
      for (const draft of drafts) world.drafts.set(draft.room_id, draft);
      this.world = world;
      this.cursor = saved.cursor;
      this.deviceId = saved.device_id ?? '';
      this.reads = new Map(Object.entries(saved.reads ?? {}));
      return this.#enter();
    }
    await this.#askWhoWeAre();
  }

  /** After sign-up or sign-in. What another account left here goes first. */
  async begin(me: Me, deviceId = ''): Promise<void> {
    if (this.world && this.world.me.id !== me.id) await this.#forget();
    this.world ??= new World(me);
    this.world.me = me;
    this.deviceId = deviceId;
    await this.deps.store.commit({ meta: { me, device_id: deviceId } });
    await this.#enter();
  }

  async beginSession(session: Session): Promise<void> {
    await this.begin(session.user, session.device_id);
    await this.learnNodes(session.nodes ?? []);
  }

  /** The cluster, as a node that should know tells it. */
  async learnNodes(nodes: Node[]): Promise<void> {
    this.nodes = nodes;
    await this.deps.store.commit({ meta: { nodes } });
    this.deps.tell({ elsewhere: this.elsewhere });
  }

  /** The server leaves: say so, and who stays. */
  async move(nodes: Node[]): Promise<void> {
    this.conn = { ...this.conn, moving: true };
    this.deps.tell({ conn: this.conn });
    if (nodes.length) await this.learnNodes(nodes);
  }

  get elsewhere(): string[] {
    return elsewhere(this.nodes, this.node, this.deps.origin);
  }

  /** The server ended this session. A revoked device keeps nothing. */
  async signedOut(reason?: 'unauthenticated' | 'revoked'): Promise<void> {
    this.link.stop();
    if (reason !== 'unauthenticated') await this.#forget();
    this.auth = { state: 'out', reason };
    this.deps.tell(this.whole());
  }

  whole(): News {
    const world = this.world;
    return {
      whole: true,
      auth: this.auth,
      conn: this.conn,
      me: world?.me,
      device_id: this.deviceId,
      clock_offset: this.clockOffset,
      limits: this.limits,
      elsewhere: this.elsewhere,
      rooms: [...(world?.rooms.values() ?? [])],
      users: [...(world?.users.values() ?? [])],
      outbox: world?.outbox ?? [],
      drafts: [...(world?.drafts.values() ?? [])],
      presence: [...this.presence.values()],
      contacts: [...(world?.contacts.values() ?? [])],
      blocks: [...(world?.blocks ?? [])],
    };
  }

  /** Stores a out, with the cursor that covers it if there is one; then tells it. */
  async publish(out: Outcome, cursor?: string, more: News = {}): Promise<void> {
    const world = this.world;
    if (!world) return;
    const change = out.change(world, cursor);
    await this.deps.store.commit(change);
    if (cursor) this.cursor = cursor;
    this.deps.tell({
      ...more,
      ...(out.me ? { me: out.me } : {}),
      rooms: change.rooms,
      dropRooms: change.dropRooms,
      users: change.users,
      messages: change.messages,
      fresh: out.fresh,
      dropOutbox: change.dropOutbox,
      drafts: change.drafts,
      dropDrafts: change.dropDrafts,
      ...(out.contacts && { contacts: change.meta?.contacts, blocks: change.meta?.blocks }),
    });
    if (out.contacts) this.onContacts();
    for (const id of out.dropOutbox) this.outbox.done(id);
    if (out.unknownRooms.size || out.unknownUsers.size || out.staleMembers.size)
      this.onUnknown(out);
    if (out.revoked.has(this.deviceId) && this.deviceId) await this.signedOut('revoked');
  }

  async allRooms(): Promise<RoomEntry[]> {
    const rooms: RoomEntry[] = [];
    let next: string | undefined;
    do {
      const page: string = next ? `&page=${encodeURIComponent(next)}` : '';
      const got = await this.deps.api.get<{ rooms: RoomEntry[]; next?: string }>(
        `/v1/rooms?limit=100${page}`,
      );
      rooms.push(...got.rooms);
      next = got.next;
    } while (next);
    return rooms;
  }

  async #askWhoWeAre(): Promise<void> {
    try {
      await this.begin(await this.deps.api.get<Me>('/v1/me'));
    } catch (error) {
      if (problemOf(error).code === 'network' || (problemOf(error).status ?? 0) >= 500) {
        const wait = fullJitter(this.#startTries++, this.deps.clock.random, 500);
        this.deps.clock.after(wait, () => void this.#askWhoWeAre());
        return;
      }
      this.auth = { state: 'out' };
      this.deps.tell(this.whole());
    }
  }

  async #enter(): Promise<void> {
    this.auth = { state: 'in' };
    this.deps.tell(this.whole());
    if (this.cursor) this.link.start();
    else await this.#bootstrap();
  }

  /** First time: the cursor before the rooms, so that nothing falls between. */
  async #bootstrap(): Promise<void> {
    try {
      const { cursor } = await this.deps.api.get<{ cursor: string }>('/v1/sync?limit=0');
      const rooms = await this.allRooms();
      await this.serial(async () => {
        const out = new Outcome();
        this.world?.list(rooms, out);
        await this.publish(out, cursor);
        this.onListed();
      });
      this.link.start();
    } catch (error) {
      if (problemOf(error).code === 'unauthenticated') return this.signedOut('unauthenticated');
      const wait = fullJitter(this.#startTries++, this.deps.clock.random, 500);
      this.deps.clock.after(wait, () => void this.#bootstrap());
    }
  }

  async #forget(): Promise<void> {
    await this.deps.store.wipe();
    this.world = undefined;
    this.cursor = undefined;
    this.reads.clear();
    this.presence.clear();
  }

  #refused(item: OutboxItem, problem: Problem): Promise<void> {
    return this.serial(async () => {
      const { code, detail, limit, server_time } = problem;
      if (code === 'clock_ahead' && server_time && !item.remade)
        return this.#remake(item, server_time);
      item.failed = { code, detail, limit };
      await this.deps.store.commit({ outbox: [item] });
      this.deps.tell({ outbox: [item] });
    });
  }

  /** Our clock was ahead, so the id was never taken: the same words under a right one. */
  async #remake(item: OutboxItem, serverTime: string): Promise<void> {
    this.clockOffset = Date.parse(serverTime) - this.deps.clock.now();
    const old = item.client_id;
    Object.assign(item, {
      client_id: uuidv7(this.serverNow()),
      at: this.serverNow(),
      remade: true,
    });
    await this.deps.store.commit({ outbox: [item], dropOutbox: [old] });
    this.deps.tell({ outbox: [item], dropOutbox: [old], clock_offset: this.clockOffset });
  }
}
