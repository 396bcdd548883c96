import type { Message, Problem, Room, RoomEntry, User } from '../wire';
import { app } from './app.svelte';
import { ago, span } from './format';
import type { Key } from './i18n';
import { prefs, t } from './prefs.svelte';

export function userName(id: string): string {
  const user = app.users.get(id);
  return user ? user.name || user.username : t('gone');
}

/** The other one of a direct room. */
export function peerOf(room: Room): User | undefined {
  if (room.kind !== 'direct') return undefined;
  const member = room.members?.find((m) => m.user.id !== app.me?.id);
  return member && (app.users.get(member.user.id) ?? member.user);
}

export function roomName(room: Room): string {
  if (room.kind === 'direct') {
    const peer = peerOf(room);
    return peer?.name || peer?.username || room.name || t('gone');
  }
  if (room.name) return room.name;
  const names = (room.members ?? []).filter((m) => m.user.id !== app.me?.id);
  return names.map((m) => userName(m.user.id)).join(', ') || t('newGroup');
}

/** The line under a room's name in the list. */
export function preview(entry: RoomEntry): string {
  const waiting = app.outbox.findLast((item) => item.room_id === entry.room.id);
  if (waiting)
    return t(waiting.failed ? 'failedPreview' : 'sendingPreview', { text: waiting.text });
  const last = entry.last_message;
  if (!last) return t('emptyRoom');
  if (last.kind === 'system') return systemText(last);
  const text = last.deleted_at ? t('deletedMessage') : last.text;
  if (last.sender_id === app.me?.id) return t('youSaid', { text });
  if (entry.room.kind === 'direct') return text;
  return t('theySaid', { name: userName(last.sender_id), text });
}

/** Whether somebody is there, as far as they let us see. */
export function presenceText(user: User): string {
  if (app.blocks.has(user.id)) return t('blocked');
  const presence = app.presence.get(user.id);
  if (presence?.status === 'online') return t('online');
  if (presence?.status === 'away') return t('away');
  if (!presence?.last_seen) return '';
  return t('lastSeen', { when: ago(prefs.locale, presence.last_seen, app.now) });
}

/** The page's title: what is unread, and whether one was mentioned in it. */
export function pageTitle(): string {
  const mark = app.mentioned ? '@' : '';
  if (app.auth.state !== 'in' || (!app.unread && !mark)) return 'natter';
  return `(${mark}${app.unread || ''}) natter`;
}

export function systemText(message: Message): string {
  const system = message.system;
  const who = userName(message.sender_id);
  if (!system) return t('sysOther');
  const { action, user_ids = [], name } = system;
  const names = user_ids.map(userName).join(', ');
  const self = user_ids.length === 1 && user_ids[0] === message.sender_id;
  switch (action) {
    case 'created':
      return name ? t('sysCreated', { who, name }) : t('sysCreatedPlain', { who });
    case 'renamed':
      return t('sysRenamed', { who, name: name ?? '' });
    case 'topic':
      return t('sysTopic', { who });
    case 'avatar':
      return t('sysAvatar', { who });
    case 'history':
      return t(name === 'all' ? 'sysHistoryAll' : 'sysHistoryJoined', { who });
    case 'joined':
      return self || !user_ids.length
        ? t('sysJoined', { names: names || who })
        : t('sysAdded', { who, names });
    case 'left':
      return t('sysLeft', { names: names || who });
    case 'removed':
      return t('sysRemoved', { who, names });
    case 'role': {
      const roles = {
        owner: 'sysRoleOwner',
        admin: 'sysRoleAdmin',
        member: 'sysRoleMember',
      } as const;
      return t('sysRole', { who, names, role: t(roles[system.role ?? 'member']) });
    }
  }
  return t('sysOther');
}

const byField: Record<string, Key> = {
  'username conflict': 'errUsernameTaken',
  'username invalid': 'errUsernameInvalid',
  'password invalid': 'errPasswordShort',
  'new_password invalid': 'errPasswordShort',
  'old_password invalid': 'errOldPassword',
  'old_password unauthenticated': 'errOldPassword',
  'old_password forbidden': 'errOldPassword',
  'name invalid': 'errNameInvalid',
};

const byCode: Record<string, Key> = {
  conflict: 'errUsernameTaken',
  network: 'errNetwork',
  too_many: 'errTooMany',
  unavailable: 'errUnavailable',
  internal: 'errUnavailable',
  unauthenticated: 'errCredentials',
  not_found: 'errNotFound',
  gone: 'errNotFound',
  forbidden: 'errForbidden',
  blocked: 'errBlocked',
};

/** A refusal in the reader's language, by its field and code; never the server's prose. */
export function problemText({ code, field, limit }: Problem): string {
  if (code === 'forbidden' && field === 'seq' && limit)
    return t('errEditWindow', { span: span(prefs.locale, limit) });
  if (code === 'too_large') {
    const most = new Intl.NumberFormat(prefs.locale).format(limit ?? 0);
    return limit ? t('errTooLarge', { limit: most }) : t('errTooLargePlain');
  }
  const key = byField[`${field} ${code}`] ?? byCode[code];
  return key ? t(key) : t('errOther', { code });
}
