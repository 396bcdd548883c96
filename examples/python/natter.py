#!/usr/bin/python3
"""A small natter client, written from docs/PROTOCOL.md alone.

    apt install python3-websocket            # the WebSocket; the rest is Python's own

    ./natter.py --state ann.json --url http://127.0.0.1:8080 signup ann "a long password"
    ./natter.py --state ann.json send bob "hello Bob"      # a direct message
    ./natter.py --state ann.json receive --count 1         # or --seconds 30, or until ^C
    ./natter.py --state ann.json receive                   # goes on where the last one ended

Everything a device has to remember is in its state file: the session, the
cursor (its place in the person's queue), the highest seq it has of each room,
and the messages that have no answer yet. A message goes into that file before
it goes out and stays there until the server says `sent`; it is sent again with
the same client_id, which the server takes once, however often it comes.
"""

import argparse
import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import websocket  # Debian: python3-websocket


class Refused(Exception):
    """The server said no; problem is its RFC 9457 answer."""

    def __init__(self, problem):
        super().__init__(f"{problem.get('code')}: {problem.get('detail')}")
        self.problem = problem


class State:
    """What the device remembers, in one JSON file that is replaced as a whole."""

    def __init__(self, path):
        self.path = path
        self.data = {"url": "", "session": None, "cursor": "", "seqs": {}, "outbox": []}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.data.update(json.load(f))

    def __getitem__(self, key):
        return self.data[key]

    def save(self, **changes):
        self.data.update(changes)
        half = self.path + ".new"
        # The tokens in it are as good as the password: for the owner only.
        fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            json.dump(self.data, f, ensure_ascii=False, indent=1)
            f.flush()
            os.fsync(f.fileno())
        os.replace(half, self.path)


def uuid7():
    """A UUIDv7: 48 bits of milliseconds, then random bits (RFC 9562, 5.7)."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    h = raw.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def call(state, method, path, body=None, known=True):
    """One HTTP call, without the access token unless known; returns the answer's
    object, raises Refused."""
    request = urllib.request.Request(state["url"] + path, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if known and state["session"]:
        request.add_header("Authorization", "Bearer " + state["session"]["access_token"])
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer) if answer.status != 204 else None
    except urllib.error.HTTPError as e:
        try:
            problem = json.load(e)
        except ValueError:
            problem = {"code": "internal", "detail": str(e)}
        raise Refused(problem) from None


def signed_in(state):
    """Makes sure that the access token is good; an old one is refreshed."""
    if not state["session"]:
        sys.exit("sign up or sign in first")
    try:
        call(state, "GET", "/v1/me")
    except Refused as e:
        if e.problem.get("code") != "unauthenticated":
            raise
        token = state["session"]["refresh_token"]
        state.save(session=call(state, "POST", "/v1/sessions/refresh", {"refresh_token": token}, known=False))


class Socket:
    """The WebSocket: says hello, and comes back with full jitter."""

    def __init__(self, state):
        self.state = state
        self.ws = None
        self.tries = 0
        self.heartbeat = 25.0

    def connect(self):
        while True:
            try:
                self.ws = websocket.create_connection(
                    "ws" + self.state["url"][len("http"):] + "/v1/ws", subprotocols=["natter.v1"], timeout=10)
                hello = {"op": "hello", "ref": "hello", "token": self.state["session"]["access_token"], "client": "natter.py"}
                if self.state["cursor"]:
                    hello["cursor"] = self.state["cursor"]
                self.send(hello)
                welcome = self.read()
                if welcome.get("op") != "welcome":
                    raise Refused(welcome.get("problem", {"code": "internal", "detail": "no welcome"}))
                self.heartbeat = welcome["heartbeat_ms"] / 1000
                if not self.state["cursor"]:
                    self.state.save(cursor=welcome["cursor"])
                return
            except (OSError, websocket.WebSocketException):
                self.wait()

    def wait(self):
        """0.5 s, doubling to 30 s, and a random part of that."""
        time.sleep(random.uniform(0, min(30.0, 0.5 * 2**self.tries)))
        self.tries = min(self.tries + 1, 10)

    def send(self, frame):
        self.ws.send(json.dumps(frame, ensure_ascii=False))

    def read(self):
        """The next frame. A close code of 4500 and above ends the program:
        only the person can help; any other ending is for connect()."""
        opcode, data = self.ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2], "big")
            if 4500 <= code <= 4999:
                sys.exit(f"the server ended this session ({code}): {data[2:].decode()}")
            raise websocket.WebSocketConnectionClosedException(f"closed with {code}")
        frame = json.loads(data)
        if frame.get("op") == "synced":
            self.tries = 0
        return frame

    def close(self):
        self.ws.close()


def run(state, on_message, done, seconds=None):
    """Sends what waits in the outbox, and hands every new message to on_message,
    until done() or for so many seconds."""
    until = time.monotonic() + seconds if seconds is not None else float("inf")
    socket = Socket(state)
    while True:
        try:
            signed_in(state)
            break
        except OSError:  # the node isn't there now
            socket.wait()
        except Refused as e:
            if e.problem.get("code") not in ("unavailable", "too_many"):
                raise
            socket.wait()
    while True:
        socket.connect()
        for m in state["outbox"]:
            socket.send({"op": "send", "ref": m["client_id"], **m})
        try:
            while not done() and time.monotonic() < until:
                socket.ws.settimeout(max(0.01, min(socket.heartbeat, until - time.monotonic())))
                try:
                    frame = socket.read()
                except websocket.WebSocketTimeoutException:
                    socket.send({"op": "ping"})
                    continue
                handle(state, frame, on_message)
            if state["cursor"]:
                socket.send({"op": "ack", "cursor": state["cursor"]})
            socket.close()
            return
        except (OSError, websocket.WebSocketException):
            socket.wait()


def handle(state, frame, on_message):
    op = frame.get("op")
    if op == "sent":
        state.save(outbox=[m for m in state["outbox"] if m["client_id"] != frame.get("ref")])
    elif op == "error":
        code = frame["problem"].get("code")
        if code in ("unavailable", "too_many"):  # the same again, later: the next connection sends it
            time.sleep(frame["problem"].get("retry_after_ms", 500) / 1000)
            raise websocket.WebSocketConnectionClosedException(code)
        state.save(outbox=[m for m in state["outbox"] if m["client_id"] != frame.get("ref")])
        print(f"refused: {frame['problem'].get('detail')}", file=sys.stderr)
    elif op in ("event", "events"):
        for placed in frame["events"] if op == "events" else [frame]:
            event(state, placed["event"], on_message)
            state.save(cursor=placed["cursor"])
    elif op in ("synced", "reset"):
        # After a reset this client would load GET /v1/rooms again; it has no list.
        state.save(cursor=frame["cursor"])


def event(state, e, on_message):
    """Shows a message once: events come at least once, seq tells."""
    if e["type"] != "message":
        return
    m = e["message"]
    if m["seq"] <= state["seqs"].get(m["room_id"], 0):
        return
    on_message(m)
    state["seqs"][m["room_id"]] = m["seq"]


def find_user(state, username):
    for user in call(state, "GET", "/v1/users?" + urllib.parse.urlencode({"query": username, "limit": 20}))["users"]:
        if user["username"] == username:
            return user
    sys.exit(f"there is no {username}")


def enter(state, path, args):
    state.save(url=args.url.rstrip("/"), session=None, cursor="")
    body = {"username": args.username, "password": args.password, "device_name": "natter.py"}
    state.save(session=call(state, "POST", path, body))
    # The place from which this device has everything: now.
    state.save(cursor=call(state, "GET", "/v1/sync?limit=0")["cursor"])
    print(state["session"]["user"]["id"])


def send(state, args):
    signed_in(state)
    room = call(state, "POST", "/v1/rooms", {"kind": "direct", "user_id": find_user(state, args.username)["id"]})
    state.save(outbox=state["outbox"] + [{"room_id": room["id"], "client_id": args.client_id or uuid7(), "text": args.text}])
    run(state, lambda m: None, lambda: not state["outbox"], args.seconds)
    if state["outbox"]:
        sys.exit("no answer yet; the message stays in the outbox and goes out with the next command")
    print("sent")


def receive(state, args):
    shown = []

    def show(m):
        if m["kind"] == "text" and m["sender_id"] != state["session"]["user"]["id"]:
            shown.append(m)
            print(m["room_id"], m["seq"], m["sender_id"], m["text"], sep="\t", flush=True)

    try:
        run(state, show, lambda: args.count is not None and len(shown) >= args.count, args.seconds)
    except KeyboardInterrupt:
        pass


def main():
    parser = argparse.ArgumentParser(description="a small natter client")
    parser.add_argument("--state", required=True, help="the file in which this device remembers")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the node, for signup and signin")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("signup", "signin"):
        c = commands.add_parser(name)
        c.add_argument("username")
        c.add_argument("password")
    c = commands.add_parser("send", help="send somebody a direct message")
    c.add_argument("username")
    c.add_argument("text")
    c.add_argument("--client-id", help="the message's own UUIDv7; the same one again is the same message")
    c.add_argument("--seconds", type=float, help="how long to wait for the answer")
    c = commands.add_parser("receive", help="show what came since the last time")
    c.add_argument("--count", type=int, help="end after so many messages")
    c.add_argument("--seconds", type=float, help="end after so long")
    args = parser.parse_args()
    state = State(args.state)
    try:
        if args.command == "signup":
            enter(state, "/v1/accounts", args)
        elif args.command == "signin":
            enter(state, "/v1/sessions", args)
        elif args.command == "send":
            send(state, args)
        else:
            receive(state, args)
    except Refused as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
