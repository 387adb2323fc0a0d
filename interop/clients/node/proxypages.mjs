// Goes through the authorization proxy's pages in headless Chromium: by keyboard alone and without
// scripts, then as an attacker's site would. Takes a picture of each page, checks it with axe, and
// prints what came of it all.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const c = JSON.parse(readFileSync(process.env.CONFIG, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const results = { console: [], violations: [], referrers: [], lang: {} };
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM, acceptInsecureCerts: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    `--host-resolver-rules=${c.resolve}`],
});
let page, scripts;
const callbacks = [];

/** A new browser, which knows nobody. */
async function fresh({ withScripts = false, language = "en", scheme = "light", width = 800 } = {}) {
  scripts = withScripts;
  const context = await browser.createBrowserContext();
  page = await context.newPage();
  page.setDefaultTimeout(60000);
  await page.setViewport({ width, height: 800 });
  await page.setJavaScriptEnabled(scripts);
  await page.setExtraHTTPHeaders({ "Accept-Language": language });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("console", (m) => results.console.push(`${new URL(page.url()).pathname}: ${m.text()}`));
  page.on("request", (r) => {
    if (r.url().startsWith(`${c.issuer}/oauth/callback`)) callbacks.push(r.url());
    const { referer } = r.headers();
    if (referer?.startsWith(c.issuer) && !r.url().startsWith(c.issuer)) results.referrers.push(`${r.url()} from ${referer}`);
  });
}
const authorize = (more) => `${c.issuer}/authorize?` + new URLSearchParams({ ...c.request, ...more });
const title = () => page.$eval("h1", (h) => h.textContent);

/** Takes a picture, and lets axe look. */
async function look(name) {
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `proxy-${name}.png`), fullPage: true });
  results.lang[name] = await page.$eval("html", (h) => h.lang);
  await page.setJavaScriptEnabled(true); // for axe's timers; the page has no scripts
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  await page.setJavaScriptEnabled(scripts);
  results.violations.push(...violations.map((v) => `${name}: ${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`));
}

/** Waits until it is so, a minute at most, and returns whether it is. */
async function until(isSo) {
  for (const end = Date.now() + 60000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      if (await isSo()) return true;
    } catch { /* the page is on its way */ }
  }
  return false;
}

/** Waits until the browser shows a page of such an address. */
async function arrive(arrived) {
  if (!await until(async () => arrived(page.url()) && await page.$("h1"))) throw new Error(`${page.url()}: this is where it ended`);
  return page.url();
}
const at = (prefix) => (url) => url.startsWith(prefix);

/** Goes on by Tab until the element is selected, presses Enter, and arrives. */
async function enter(selector, arrived) {
  for (let n = 0; !await page.evaluate((s) => document.activeElement.matches(s), selector); n++) {
    if (n === 20) throw new Error(`${page.url()}: Tab never gets to ${selector}`);
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  return arrived && arrive(arrived);
}

/** From the consent page to the client, by keyboard. */
async function signIn() {
  await enter('button[value="approve"]', at(c.authority));
  const picker = page.url();
  await enter("button.tile", (url) => url !== picker);
  return page.url().startsWith(c.client) ? page.url() : await enter('button[value="consent"]', at(c.client));
}

await fresh();
await page.goto(authorize());
results.consent = await title();
await look("consent");
results.signedIn = await signIn();
await page.goto(callbacks.at(-1)); // as Back and reload do
results.finished = await title();
await look("finished");
await page.goto(authorize());
results.remembered = page.url();

for (const [name, looks] of Object.entries({ "ja-dark": { language: "ja,en;q=0.5", scheme: "dark", width: 360 }, "en-dark": { scheme: "dark", width: 360 }, "ja-light": { language: "ja" } })) {
  await fresh(looks);
  await page.goto(authorize());
  await look(`consent-${name}`);
  await page.goto(authorize({ code_challenge_method: "plain" }));
  await look(`problem-${name}`);
}

await fresh();
await page.goto(authorize());
await enter('button[value="deny"]', at(`${c.issuer}/consent`));
results.denied = await enter("a.go", at(c.client)); // nobody vouches for the client, so a link leads there
await page.goto(authorize({ code_challenge_method: "plain" }));
results.problem = await title();
await look("problem");
results.told = await enter("a.go", at(c.client));

// An app's own scheme: the browser asks the user whether to open the app.
await fresh();
const session = await page.createCDPSession();
await session.send("Page.enable");
const asked = new Promise((resolve) => session.on("Page.frameRequestedNavigation", (e) => e.url.startsWith("cursor:") && resolve(`${e.reason} ${e.url}`)));
await page.goto(authorize({ client_id: c.app.clientId, redirect_uri: c.app.redirect }));
await look("consent-app");
await enter('button[value="deny"]');
results.app = await asked;

// What an attacker's site may try.
await fresh({ withScripts: true });
await page.goto(authorize());
const form = await page.$eval('input[name="form"]', (i) => i.value);
await page.goto(`${c.attacker}/frame?` + new URLSearchParams({ url: authorize() }));
await until(() => page.frames()[1].url().startsWith("chrome-error:"));
results.frame = page.frames()[1].url();
await page.goto(`${c.attacker}/post?` + new URLSearchParams({ url: `${c.issuer}/consent`, form, decision: "approve" }));
await Promise.all([page.waitForNavigation(), page.click("button")]);
results.foreign = await title();
await look("foreign");
// Chromium refuses a redirect to another site after a form's POST where form-action is 'self': what our
// pages would run into.
await page.goto(`${c.attacker}/control`);
await page.click("button");
await new Promise((resolve) => setTimeout(resolve, 500));
results.control = page.url();

// A client that signs in in a pop-up hears from it.
await fresh({ withScripts: true });
await page.goto(c.client);
const opener = page;
const [popup] = await Promise.all([
  new Promise((resolve) => page.once("popup", resolve)),
  page.evaluate((url) => void window.open(url, "signin", "popup"), authorize()),
]);
page = popup;
await page.waitForSelector('button[value="approve"]');
await page.click('button[value="approve"]');
await (await page.waitForSelector("button.tile")).click();
await page.waitForFunction((client) => location.href.startsWith(client), {}, c.client);
results.popup = await opener.evaluate(() => window.heard);

await browser.close();
console.log(JSON.stringify(results));
