import type { Member, Room, RoomEntry } from '../wire';

export function looksAs(old: Room, next: Room): boolean {
  const looks = ({ name, topic, avatar_id, member_count, role, members, history }: Room) => {
    const roles = next.members && members?.map((m) => m.role);
    return JSON.stringify([name, topic, avatar_id, member_count, role, roles, history]);
  };
  return looks(old) === looks(next);
}

export function readUpTo(members: Member[] | undefined, user: string, seq: number) {
  return members?.map((m) =>
    m.user.id === user && m.read_seq < seq ? { ...m, read_seq: seq } : m,
  );
}

export function mergeRoom(old: Room | undefined, next: Room): Room {
  const known = old?.members ?? [];
  const partial = (next.members?.length ?? 0) < next.member_count;
  const members = partial && known.length > (next.members?.length ?? 0) ? known : next.members;
  return {
    ...next,
    role: next.role ?? old?.role,
    members: members && mergeMembers(known, members),
  };
}

/** The next list, but no read mark goes back. */
export function mergeMembers(old: Member[] | undefined, next: Member[]): Member[] {
  const marks = new Map(old?.map((m) => [m.user.id, m.read_seq]));
  return next.map((m) => ({
    ...m,
    read_seq: Math.max(m.read_seq ?? 0, marks.get(m.user.id) ?? 0),
  }));
}

/** A room of which nothing is known yet but itself. */
export function emptyEntry(room: Room): RoomEntry {
  return { room, last_seq: 0, read_seq: 0, unread: 0, muted: false };
}
