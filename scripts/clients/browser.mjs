// The part of a browser that a login needs: cookies, hidden fields, and reading the last redirect.
// Works without a screen, so the SDKs' clients can be tested anywhere.

/** Signs in and approves; resolves to the URL that the client would be called back at. */
export async function approve(authorizationUrl, user, password = user) {
  const jar = new Map();
  const open = async (url, form) => {
    const response = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      redirect: 'manual',
      headers: { cookie: [...jar].map((pair) => pair.join('=')).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      jar.set(name, value);
    }
    return response;
  };
  const submit = async (response, fields) => {
    const page = await response.text();
    const action = unescape(/<form method="post" action="([^"]+)"/.exec(page)?.[1]);
    const form = { request: hidden(page, 'request'), csrf: hidden(page, 'csrf'), ...fields };
    return open(new URL(action, response.url || authorizationUrl), form);
  };
  const login = await open(authorizationUrl);
  const signedIn = await submit(login, { username: user, password });
  const consent = await open(new URL(signedIn.headers.get('location'), authorizationUrl));
  const decided = await submit(consent, { decision: 'approve' });
  return decided.headers.get('location');
}

function hidden(page, name) {
  return unescape(new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1]);
}

function unescape(text) {
  if (text === undefined) throw new Error('this is not the page that was expected');
  return text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)).replace(/&amp;/g, '&');
}
