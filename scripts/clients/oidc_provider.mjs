// A certified OpenID provider as the authorization server of one MCP server, with resource indicators (RFC 8707),
// dynamic registration, and its own development pages. Every user has the role `user`.
//
//   node oidc_provider.mjs PORT RESOURCE

import { Provider } from 'oidc-provider';

const [port, resource] = process.argv.slice(2);
const scope = 'mcp:read mcp:tools mcp:prompts';

const provider = new Provider(`http://localhost:${port}`, {
  scopes: ['openid', 'offline_access', ...scope.split(' ')],
  clientDefaults: { token_endpoint_auth_method: 'none' },
  extraTokenClaims: () => ({ roles: ['user'] }),
  features: {
    registration: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

provider.listen(Number(port), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}`));
