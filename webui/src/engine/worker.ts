// The SharedWorker: one engine for all tabs of this browser.
import { openHub } from './hub';

const hub = openHub();

(self as unknown as { onconnect: (event: MessageEvent) => void }).onconnect = (event) => {
  const port = event.ports[0];
  if (port) hub.connect(port);
};
