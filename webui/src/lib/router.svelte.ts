export type Sheet = 'settings' | 'new' | 'people' | 'members';

export interface Route {
  room?: string;
  sheet?: Sheet;
}

/** / · /r/{id} · /r/{id}/members · /settings · /new · /people; a sheet lies over its room. */
export function parse(path: string, under?: string): Route {
  const [first, id, third] = path.split('/').filter(Boolean);
  if (first === 'r' && id)
    return third === 'members' ? { room: id, sheet: 'members' } : { room: id };
  if (first === 'settings' || first === 'new' || first === 'people')
    return { room: under, sheet: first };
  return {};
}

export function pathOf({ room, sheet }: Route): string {
  if (sheet && sheet !== 'members') return `/${sheet}`;
  if (!room) return '/';
  return sheet === 'members' ? `/r/${room}/members` : `/r/${room}`;
}

class Router {
  route = $state.raw<Route>(parse(location.pathname, history.state?.room));

  constructor() {
    addEventListener('popstate', () => {
      this.route = parse(location.pathname, history.state?.room);
    });
  }

  go(route: Route, replace = false): void {
    const from = replace ? history.state?.from : location.pathname;
    const state = { room: route.room, from };
    if (replace) history.replaceState(state, '', pathOf(route));
    else history.pushState(state, '', pathOf(route));
    this.route = route;
  }

  /** Up: by going back if that is where we came from, so that Back stays short. */
  leave(up: Route): void {
    if (history.state?.from === pathOf(up)) history.back();
    else this.go(up, true);
  }
}

export const router = new Router();
