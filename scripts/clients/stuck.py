"""Clients that hold a server up, and what others notice of it.

    python3 stuck.py idle|headers|bodies|readers https://localhost:8443/mcp TOKEN COUNT

Opens COUNT connections that never get to their end: `idle` say nothing, `headers` and `bodies` are sent byte by byte,
`readers` ask for much and read little of it. While they are open, eight others send 400 ordinary requests. Prints one line:

    1000 stuck, 1000 of them still open after 400 others: 400 answered with 200, slowest 12 ms; let go after 9 s

The server has half a minute to let go of the first two kinds; the others it may keep, as they do move.
"""

import json
import os
import resource
import socket
import ssl
import sys
import threading
import time
import urllib.parse

import load  # beside this file

KIND, URL, TOKEN, COUNT = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
WHERE = urllib.parse.urlsplit(URL)
TLS = ssl.create_default_context()
HEAD = f"POST {WHERE.path} HTTP/1.1\r\nHost: {WHERE.netloc}\r\n"
FULL_HEAD = f"{HEAD}Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
# A connection that neither side has ended or reset, as Linux counts the states (enum in netinet/tcp.h).
ESTABLISHED = 1
# An answer of a megabyte, as much as echo gives: 52,000 letters, ten times, as text and as data.
MUCH = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "echo", "arguments": {"message": "x" * 52_000, "repeat_count": 10}},
    }
)
LARGE = 1_000_000


def connect() -> socket.socket:
    stream = socket.socket()
    # What a slow reader has room for, and no more.
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.settimeout(15)
    stream.connect(("127.0.0.1", WHERE.port))
    if KIND == "idle":
        return stream
    stream = TLS.wrap_socket(stream, server_hostname=WHERE.hostname)
    if KIND == "headers":
        stream.sendall(HEAD.encode())
    elif KIND == "bodies":
        stream.sendall((FULL_HEAD % 100_000).encode())
    else:
        stream.sendall((FULL_HEAD % len(MUCH)).encode() + MUCH.encode())
        check_answer(stream)
    return stream


def check_answer(stream: socket.socket) -> None:
    """Reads the head of an answer: it must be one that is worth being slow with."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = stream.recv(256)
        if not more:
            raise SystemExit("a slow reader is not answered")
        head += more
    status, *fields = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
    sizes = [int(field.split(":")[1]) for field in fields if field.lower().startswith("content-length:")]
    if " 200" not in status or sizes < [LARGE]:
        raise SystemExit(f"a slow reader is answered {status!r}, with {sizes} bytes")


def move(streams: list) -> None:
    """One byte more of what they never finish, or a little of what they never read; a connection that was closed is found
    later."""
    for stream in list(streams):
        try:
            if KIND in ("headers", "bodies"):
                stream.sendall(b"x")
            elif KIND == "readers":
                # As it comes, encrypted: nobody wants to know what it says.
                os.read(stream.fileno(), 65536)
        except OSError:
            pass


def keep_moving(streams: list, done: threading.Event) -> None:
    while not done.wait(1):
        move(streams)


def is_open(stream: socket.socket) -> bool:
    """Whether the server has neither closed it nor, to one that has not finished its request, answered."""
    if KIND == "readers":
        # Something to read is there, so reading tells nothing. The first byte of what the kernel knows is the state of the
        # connection.
        return stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
    try:
        stream.settimeout(0)
        stream.recv(1)
        return False
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


def others() -> list:
    """What 400 ordinary requests come to, from eight clients."""
    lines = []

    def run() -> None:
        client = load.Client(URL, TOKEN)
        for _ in range(50):
            lines.append(client.call().split())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lines


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))
    streams: list = []
    done = threading.Event()
    mover = threading.Thread(target=keep_moving, args=(streams, done), daemon=True)
    mover.start()
    for _ in range(COUNT):
        streams.append(connect())
    began = time.monotonic()
    lines = others()
    done.set()
    mover.join()
    still = sum(is_open(stream) for stream in streams)
    good = [float(line[1]) for line in lines if line[0] == "200"]
    says = (
        f"{COUNT} stuck, {still} of them still open after {len(lines)} others: {len(good)} answered with 200,"
        f" slowest {max(good, default=0):.0f} ms"
    )
    if KIND in ("idle", "headers"):
        while still and time.monotonic() - began < 30:
            time.sleep(0.5)
            move(streams)
            still = sum(is_open(stream) for stream in streams)
        seconds = time.monotonic() - began
        says += f"; {still} not let go" if still else f"; let go after {seconds:.0f} s"
    print(says)


main()
