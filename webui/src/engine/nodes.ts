import type { Node } from '../wire';

/**
 * The servers that are another place than this page's, best first: where the person
 * may go on if this one stays away.
 *
 * The engine itself never connects there. It is signed in by a cookie that only this
 * origin has, that no script can read, and the calls beside the socket are bound to
 * this origin too; tokens it keeps none, since whoever can read its storage could use
 * them. Nodes behind one address are reached by coming back to it, at a random time.
 */
export function elsewhere(nodes: Node[], own: string | undefined, origin: string): string[] {
  const here = new URL(origin);
  const urls = nodes.flatMap(({ id, url }) => {
    if (id === own || !URL.canParse(url)) return [];
    const there = new URL(url);
    const safe =
      there.protocol === 'https:' || (there.protocol === 'http:' && here.protocol === 'http:');
    return safe && there.origin !== here.origin ? [there.origin] : [];
  });
  return [...new Set(urls)];
}
