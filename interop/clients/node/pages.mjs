// Goes through the sign-in pages with headless Chromium, with scripts off and on, takes a picture
// of each page, and prints where the browser was sent back to.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const c = JSON.parse(readFileSync(process.env.CONFIG, "utf8"));
const results = {};
const received = [];
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    if (request.url !== "/favicon.ico") received.push({ method: request.method, url: request.url, body });
    response.setHeader("Content-Type", "text/html");
    response.end("<title>client</title><h1>Back at the client</h1>");
  });
});
await new Promise((resolve) => server.listen(0, "localhost", resolve));
const redirect = `http://localhost:${server.address().port}`;

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM, acceptInsecureCerts: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const address = (more) => `${c.authority}/${c.tenant}/oauth2/v2.0/authorize?` + new URLSearchParams({
  client_id: c.desktopClientId, response_type: "code", redirect_uri: redirect, state: "s", nonce: "n",
  scope: `openid profile ${c.apiScope}`, code_challenge: "a".repeat(43), code_challenge_method: "S256", ...more,
});
let page;

async function fresh(scripts) {
  const context = await browser.createBrowserContext();
  page = await context.newPage();
  page.setDefaultTimeout(60000);
  await page.setViewport({ width: 800, height: 640 });
  await page.setJavaScriptEnabled(scripts);
}
const shoot = (name) => page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) });
const title = () => page.$eval("h1", (h) => h.textContent);
async function press(selector) {
  await Promise.all([page.waitForNavigation(), page.click(selector)]);
}

// evaluate needs no scripts of the page: the titles are read by the browser's own tools.
await fresh(false);
await page.goto(address({ response_mode: "form_post" }));
results.picker = await title();
await shoot("picker");
await press("button.tile");
results.consent = await title();
await shoot("consent");
await press('button[value="consent"]');
results.formPost = await page.$eval("button", (b) => b.textContent);
await shoot("form-post");
await press("button");
results.posted = received.at(-1);
await page.goto(address({}));
results.singleSignOn = received.at(-1).url;

await page.goto(address({ scope: c.stepUpScope.replace(".default", "read") }));
results.approval = await title();
await shoot("approval");
await press('button[value="cancel"]');
results.refused = received.at(-1).url;

await page.goto(address({ redirect_uri: "https://evil.example.com/" }));
results.error = await page.$eval("main p", (p) => p.textContent);
await shoot("error");

await page.goto(c.devicePage);
await page.type('input[name="otc"]', c.userCode);
await shoot("device");
await press("button.main");
await page.type('input[name="name"]', c.userName);
await press("button.main");
results.device = await page.$eval("main p", (p) => p.textContent);
await shoot("device-done");

await page.goto(`${c.authority}/${c.tenant}/oauth2/v2.0/logout`);
results.logout = await title();
await page.goto(address({ prompt: "none" }));
results.signedOut = received.at(-1).url;

await fresh(true); // the page of form_post sends itself
await page.goto(address({ response_mode: "form_post" }));
await press("button.tile");
await page.waitForFunction(() => document.title === "client");
results.postedByScript = received.at(-1);

await browser.close();
server.close();
console.log(JSON.stringify(results));
