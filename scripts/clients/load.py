"""Load on an MCP endpoint: the same tools/call again and again, over connections that are kept open.

    python3 load.py https://localhost:8443/mcp tokens.txt results.txt

Every thread takes its own line of the tokens file. Each request becomes one line of the results, as soon as it is known how
it ended: `200 3.1`, the status and milliseconds, or `failed 3.1 reason`. SIGTERM ends it when what is under way is answered;
so does a minute and a half.

A connection that was kept open may be closed just when the next request is written (RFC 9112, section 9.3.1). As curl and
browsers do, such a request is sent once more, on a new connection, and its line ends in `again`.
"""

import http.client
import json
import os
import signal
import ssl
import sys
import threading
import time
import urllib.parse

URL, TOKENS, RESULTS = sys.argv[1:4]
LIMIT = 90
STOP = threading.Event()
BODY = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "hello"}}}
)
# What a connection does that the other side has closed, before a byte of an answer.
CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


class Client:
    """One connection, which is opened anew when it has to be."""

    def __init__(self, url: str, token: str):
        url = urllib.parse.urlsplit(url)
        self.path = url.path
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        self.connection = http.client.HTTPSConnection(
            url.hostname, url.port, timeout=15, context=ssl.create_default_context()
        )

    def post(self, body: str) -> int:
        self.connection.request("POST", self.path, body, self.headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def call(self) -> str:
        """Sends one request, and says in a line what came of it."""
        began = time.monotonic()
        kept = self.connection.sock is not None
        again = ""
        try:
            try:
                status = self.post(BODY)
            except CLOSED:
                self.connection.close()
                if not kept:
                    raise
                again = " again"
                status = self.post(BODY)
            return f"{status} {(time.monotonic() - began) * 1000:.1f}{again}"
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return f"failed {(time.monotonic() - began) * 1000:.1f} {type(error).__name__} {error}"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    with open(TOKENS, encoding="ascii") as file:
        tokens = file.read().split()
    # One write a line, so that threads do not mix theirs.
    results = os.open(RESULTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def run(token: str) -> None:
        client = Client(URL, token)
        while not STOP.is_set():
            os.write(results, f"{client.call()}\n".encode())

    threads = [threading.Thread(target=run, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    STOP.wait(LIMIT)
    STOP.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
