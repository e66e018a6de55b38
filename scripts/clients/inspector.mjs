// The MCP Inspector in headless Chromium: connect, log in on our pages or Keycloak's, list the tools, run `whoami`.
//
//   node inspector.mjs INSPECTOR_URL alice screenshot.png                                 the client registers itself
//   node inspector.mjs INSPECTOR_URL alice screenshot.png CLIENT_ID 'openid profile'      it is one made by hand
//
// Run from a folder with puppeteer-core; CHROMIUM names the browser. Prints what `whoami` answered.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [inspector, user, screenshot, clientId, scopes] = process.argv.slice(2);
const installed = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const { default: puppeteer } = await import(pathToFileURL(installed.resolve('puppeteer-core')));

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    // Containers run as root, where Chromium has no sandbox; the only pages it opens are ours.
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--no-proxy-server',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
// A browser must not outlive this script, whatever goes wrong.
const watchdog = setTimeout(() => browser.process().kill('SIGKILL'), 90_000);

try {
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(inspector);

  const press = async (selector) => {
    await page.waitForSelector(selector);
    await page.$eval(selector, (element) => element.click());
  };
  const pressText = async (selector, text) => {
    const wanted = [selector, text];
    await page.waitForFunction(
      (selector, text) => [...document.querySelectorAll(selector)].some((e) => e.innerText.trim() === text),
      {},
      ...wanted,
    );
    await page.evaluate((selector, text) => {
      [...document.querySelectorAll(selector)].find((e) => e.innerText.trim() === text).click();
    }, ...wanted);
  };

  // Types into the field with this label, as a person would.
  const fill = async (label, text) => {
    const field = await page.waitForFunction(
      (label) => {
        const found = [...document.querySelectorAll('label')].find((e) => e.innerText.trim() === label);
        return found && document.getElementById(found.htmlFor);
      },
      {},
      label,
    );
    await field.type(text);
  };

  if (clientId) {
    await pressText('button', 'Settings');
    await pressText('button', 'OAuth Settings');
    await fill('Client ID', clientId);
    await fill('Scopes', scopes);
    await press('.mantine-Modal-root button[aria-label="Close"], [role=dialog] button[aria-label="Close"]');
  }
  await press('input[aria-label^="Connect or disconnect"]');
  await page.waitForSelector('#username');
  await page.type('#username', user);
  await page.type('#password', user);
  await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')]);
  const approve = 'button[value=approve], button[name=accept]';
  await page.waitForSelector(approve);
  await page.click(approve);

  await page.waitForSelector('button[aria-label="Disconnect from server"]');
  await pressText('label', 'Tools');
  await pressText('button.list-item p', 'whoami');
  await pressText('button', 'Execute Tool');
  // The answer is shown in an editor, line by line.
  const answer = await page.waitForFunction(() => {
    const text = [...document.querySelectorAll('.ace_line')].map((line) => line.textContent.trim()).join(' ');
    return text.includes('"sub"') && text.endsWith('}') && text;
  });
  await page.screenshot({ path: screenshot });
  console.log(await answer.jsonValue());
} finally {
  clearTimeout(watchdog);
  await browser.close();
}
