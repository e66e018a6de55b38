// One of the two TypeScript SDKs, from nothing but a URL to a tool call.
//
//   node typescript.mjs v1|v2 http://localhost:9000/mcp alice
//
// v1 is @modelcontextprotocol/sdk, v2 is @modelcontextprotocol/client; both are found in the
// node_modules above the working directory. Prints the answer of `whoami` as one line of JSON.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { approve } from './browser.mjs';

const [which, server, user] = process.argv.slice(2);
const installed = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const load = (name) => import(pathToFileURL(installed.resolve(name)));

async function sdk() {
  if (which === 'v2') return load('@modelcontextprotocol/client');
  const parts = ['index.js', 'streamableHttp.js', 'auth.js'];
  const modules = parts.map((part) => load(`@modelcontextprotocol/sdk/client/${part}`));
  return Object.assign({}, ...(await Promise.all(modules)));
}

/** Keeps everything in memory, and notes where the SDK wants to send the user. */
class Provider {
  redirectUrl = 'http://localhost:5000/callback';
  clientMetadata = {
    client_name: `TypeScript SDK ${which}`,
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  #kept = {};
  state = () => 'state-of-the-test';
  clientInformation = () => this.#kept.client;
  saveClientInformation = (client) => void (this.#kept.client = client);
  tokens = () => this.#kept.tokens;
  saveTokens = (tokens) => void (this.#kept.tokens = tokens);
  codeVerifier = () => this.#kept.verifier;
  saveCodeVerifier = (verifier) => void (this.#kept.verifier = verifier);
  discoveryState = () => this.#kept.discovery;
  saveDiscoveryState = (discovery) => void (this.#kept.discovery = discovery);
  redirectToAuthorization = (url) => void (this.asked = url);
}

const { Client, StreamableHTTPClientTransport, UnauthorizedError } = await sdk();
const provider = new Provider();
const transport = () => new StreamableHTTPClientTransport(new URL(server), { authProvider: provider });
const client = () => new Client({ name: 'typescript-check', version: '1' });

const first = transport();
const refused = await client().connect(first).then(
  () => undefined,
  (error) => error,
);
if (!(refused instanceof UnauthorizedError)) throw new Error(`no login was asked for: ${refused}`);

const callback = new URL(await approve(provider.asked, user));
if (callback.searchParams.get('state') !== 'state-of-the-test') throw new Error('another state came back');
await (which === 'v2'
  ? first.finishAuth(callback.searchParams)
  : first.finishAuth(callback.searchParams.get('code')));

const session = client();
await session.connect(transport());
const tools = await session.listTools();
if (!tools.tools.some((tool) => tool.name === 'whoami')) throw new Error('whoami is not listed');
const answer = await session.callTool({ name: 'whoami', arguments: {} });
console.log(answer.content[0].text.replace(/\s*\n\s*/g, ' '));
await session.close();
process.exit(0);
