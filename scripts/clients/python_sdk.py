"""The Python SDK (`mcp`), from nothing but a URL to a tool call.

    python python_sdk.py http://localhost:9000/mcp alice

Prints the answer of `whoami` as one line of JSON.
"""

import asyncio
import html
import re
import ssl
import sys
import urllib.parse

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult
from mcp.shared.auth import OAuthClientMetadata

SERVER, USER = sys.argv[1:3]
CALLBACK = "http://localhost:5000/callback"
# Without `trust_env`, which would bring proxies along, SSL_CERT_FILE is read by this alone.
TLS = ssl.create_default_context()


class Memory:
    """Token storage for one run."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def hidden(page: str, name: str) -> str:
    return html.unescape(re.search(f'name="{name}" value="([^"]*)"', page).group(1))


class Browser:
    """Signs in and approves, and keeps the redirect for the SDK to ask for."""

    callback = ""

    async def open(self, url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False, verify=TLS) as http:
            login = await http.get(url)
            signed_in = await self.submit(http, login, "/oauth/login", username=USER, password=USER)
            consent = await http.get(urllib.parse.urljoin(url, signed_in.headers["location"]))
            decided = await self.submit(http, consent, "/oauth/consent", decision="approve")
            self.callback = decided.headers["location"]

    async def submit(self, http, page, path, **fields):
        fields |= {name: hidden(page.text, name) for name in ("request", "csrf")}
        return await http.post(urllib.parse.urljoin(str(page.url), path), data=fields)

    async def result(self) -> AuthorizationCodeResult:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.callback).query))
        return AuthorizationCodeResult(**query)


async def main() -> None:
    browser = Browser()
    auth = OAuthClientProvider(
        server_url=SERVER,
        client_metadata=OAuthClientMetadata(client_name="Python SDK", redirect_uris=[CALLBACK]),
        storage=Memory(),
        redirect_handler=browser.open,
        callback_handler=browser.result,
    )
    async with httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False, verify=TLS) as http:
        async with Client(streamable_http_client(SERVER, http_client=http)) as client:
            tools = await client.list_tools()
            assert any(tool.name == "whoami" for tool in tools.tools), "whoami is not listed"
            answer = await client.call_tool("whoami", {})
            print(" ".join(answer.content[0].text.split()))


asyncio.run(main())
