// Drives MCP Inspector's web page in headless Chromium, as its user: connects, approves the client,
// signs in, lists the tools and calls one; with STEP_UP, calls another that needs more scopes. Takes
// a picture of each step, and prints what the pages said.
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const { INSPECTOR, CHROMIUM, SCREENSHOTS, USER_NAME, STEP_UP } = process.env;
const browser = await puppeteer.launch({
  executablePath: CHROMIUM, acceptInsecureCerts: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 900 });
page.setDefaultTimeout(60000);
const saw = {};
const text = () => page.evaluate(() => document.body.innerText);
const press = (selector) => page.locator(selector).click();
const shows = (words) => page.waitForFunction((w) => document.body.innerText.includes(w), {}, words);
async function see(name) {
  saw[name] = await text();
  await page.screenshot({ path: join(SCREENSHOTS, `${Object.keys(saw).length}-${name}.png`) });
}

await page.goto(INSPECTOR);
await press('input[aria-label^="Connect or disconnect"]');
await page.waitForSelector('button[value="approve"]');
await see("consent");
await press('button[value="approve"]');
await press(`::-p-text(${USER_NAME})`);
// Entra asks for consent, unless somebody has given it.
await page.waitForFunction(() => document.querySelector('button[value="consent"]') ||
  [...document.querySelectorAll("label")].some((l) => l.innerText === "Tools"));
if (await page.$('button[value="consent"]')) {
  await see("entra");
  await press('button[value="consent"]');
}
await page.waitForSelector("label ::-p-text(Tools)"); // is connected
await see("connected");
await press("label ::-p-text(Tools)");
await shows("secure_ping");
await see("tools");
await press("button ::-p-text(get_user_info)");
await press("button ::-p-text(Execute Tool)");
await shows(USER_NAME);
await see("result");

if (STEP_UP) {
  await press(`button ::-p-text(${STEP_UP})`);
  await press("button ::-p-text(Execute Tool)");
  await shows("Additional permissions required");
  await see("more");
  await press("button ::-p-text(Authorize)");
  await press('button[value="approve"]'); // loopback is asked again
  await press('button[value="consent"]');
  await shows("Retry your action");
  await press("button ::-p-text(Execute Tool)");
  await shows("written");
  await see("stepped-up");
}
await browser.close();
console.log(JSON.stringify(saw));
