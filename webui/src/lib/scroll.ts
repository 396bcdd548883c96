/**
 * Remembers where the reader is and returns how to bring them back there after the
 * rows have changed. At the end that is the end; elsewhere the first row in sight
 * stays where it was to the pixel, whatever came before it.
 */
export function keepPlace(scroller: HTMLElement, atEnd: boolean): () => void {
  if (atEnd)
    return () => {
      scroller.scrollTop = scroller.scrollHeight;
    };
  const edge = scroller.getBoundingClientRect().top;
  const anchor = [...scroller.querySelectorAll<HTMLElement>('[data-seq]')].find(
    (row) => row.getBoundingClientRect().bottom > edge,
  );
  if (!anchor) return () => {};
  const was = anchor.getBoundingClientRect().top;
  return () => {
    if (anchor.isConnected) scroller.scrollTop += anchor.getBoundingClientRect().top - was;
  };
}
