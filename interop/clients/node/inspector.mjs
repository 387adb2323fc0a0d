// Drives MCP Inspector's web page in headless Chromium, as its user: connects, approves the client,
// signs in, lists the tools and calls one. Takes a picture of each step, and prints what it saw.
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const { INSPECTOR, CHROMIUM, SCREENSHOTS, USER } = process.env;
const browser = await puppeteer.launch({
  executablePath: CHROMIUM, acceptInsecureCerts: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 900 });
page.setDefaultTimeout(30000);
const saw = {};
const shoot = (name) => page.screenshot({ path: join(SCREENSHOTS, `inspector-${name}.png`) });
const press = (selector) => page.locator(selector).click();
const shows = (text) => page.waitForFunction((t) => document.body.innerText.includes(t), {}, text);

await page.goto(INSPECTOR);
await press('input[aria-label^="Connect or disconnect"]');
await page.waitForSelector('button[value="approve"]');
saw.consent = await page.$eval("main", (m) => m.innerText);
await shoot("1-consent");
await press('button[value="approve"]');
await page.locator(`::-p-text(${USER})`).click();
for (;;) { // Entra's own consent, if it asks
  const next = await Promise.race([
    page.waitForSelector('button[value="consent"]').then(() => "consent"),
    shows("Connected").then(() => "connected"),
  ]);
  if (next === "connected") break;
  await shoot("2-entra");
  await Promise.all([page.waitForNavigation(), page.click('button[value="consent"]')]);
}
await shoot("3-connected");

const text = () => page.evaluate(() => document.body.innerText);
await page.locator("label ::-p-text(Tools)").click();
await shows("secure_ping");
saw.tools = await text();
await shoot("4-tools");
await page.locator("button ::-p-text(get_user_info)").click();
await page.locator("button ::-p-text(Execute Tool)").click();
await shows(USER);
saw.result = await text();
await shoot("5-result");
await page.locator("button ::-p-text(write_note)").click();
await page.locator("button ::-p-text(Execute Tool)").click();
await new Promise((r) => setTimeout(r, 3000));
await shoot("6-stepup");
console.error(await text());
console.log(JSON.stringify(saw));
await browser.close();
