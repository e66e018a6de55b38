// The MCP Inspector in headless Chromium at examples/github-profile: connect, sign in at mock-github through our pages,
// allow, list the tools, run `get_user_profile`.
//
//   node github.mjs INSPECTOR_URL octocat FOLDER
//
// Run from a folder with puppeteer-core; CHROMIUM names the browser. Prints what the tool answered, and leaves pictures
// in the folder: sign-in.png (our page), consent.png (our other page), inspector.png.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [inspector, login, folder] = process.argv.slice(2);
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
  const follow = async (selector) => {
    await page.waitForSelector(selector);
    await Promise.all([page.waitForNavigation(), page.click(selector)]);
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
  const picture = async (name, selector = 'body') => (await page.$(selector)).screenshot({ path: `${folder}/${name}.png` });

  await press('input[aria-label^="Connect or disconnect"]');
  await page.waitForSelector('form[action$="/oauth/upstream"]');
  await picture('sign-in', 'main');
  await follow('form[action$="/oauth/upstream"] button.primary');
  await follow(`button[name=login][value=${login}]`);
  await follow('button[value=authorize]');
  await page.waitForSelector('button[value=approve]');
  await picture('consent', 'main');
  await page.click('button[value=approve]');

  await page.waitForSelector('button[aria-label="Disconnect from server"]');
  await pressText('label', 'Tools');
  await pressText('button.list-item p', 'get_user_profile');
  await pressText('button', 'Execute Tool');
  // The answer is shown in an editor, line by line.
  const answer = await page.waitForFunction(() => {
    const text = [...document.querySelectorAll('.ace_line')].map((line) => line.textContent.trim()).join(' ');
    return text.includes('"login"') && text.endsWith('}') && text;
  });
  await picture('inspector');
  console.log(await answer.jsonValue());
} catch (error) {
  const [page] = (await browser.pages()).slice(-1);
  await page.screenshot({ path: `${folder}/failed.png` });
  throw error;
} finally {
  clearTimeout(watchdog);
  await browser.close();
}
