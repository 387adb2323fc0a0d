// A single-page application in headless Chromium signs in at "mcp-entra tenant -http": its page
// reads the metadata and redeems the code by itself, across origins, as MCP Inspector's does. Then
// another platform's code is tried from the page. Prints what the page got.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const tenant = JSON.parse(readFileSync(process.env.CONFIG, "utf8")).tenants[0];
const app = (name) => tenant.apps.find((a) => a.name === name);
const scope = app("api").scopes[0];
const server = createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<title>client</title>");
});
await new Promise((resolve) => server.listen(0, "localhost", resolve));
const origin = `http://localhost:${server.address().port}`;
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-background-networking"],
});
const page = await browser.newPage();
const results = {};

/** Goes to the authorize endpoint and through the pages, and returns the code. */
async function code(client, redirect, challenge) {
  await page.goto(`${tenant.authority}/oauth2/v2.0/authorize?` + new URLSearchParams({
    client_id: client, response_type: "code", redirect_uri: redirect, scope, code_challenge: challenge, code_challenge_method: "S256",
  }));
  for (const button of ["button.tile", 'button[value="consent"]']) {
    if (!page.url().startsWith(origin) && await page.$(button)) await Promise.all([page.waitForNavigation(), page.click(button)]);
  }
  return new URL(page.url()).searchParams.get("code");
}

/** Runs in the page: what its scripts can read. */
const redeem = async (metadata, form, headers) => {
  try {
    const { token_endpoint } = await (await fetch(metadata, { headers })).json();
    const response = await fetch(token_endpoint, { method: "POST", body: new URLSearchParams(form) });
    return await response.json();
  } catch (error) {
    return { error: String(error) };
  }
};

try {
  await page.goto(origin);
  const [verifier, challenge] = await page.evaluate(async () => {
    const verifier = "v".repeat(50);
    const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    return [verifier, btoa(String.fromCharCode(...new Uint8Array(sum))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")];
  });
  const metadata = `${tenant.issuer}/.well-known/openid-configuration`;
  for (const [name, path] of [["browser", "/oauth/callback"], ["client", ""]]) {
    const redirect = origin + path;
    const form = {
      grant_type: "authorization_code", client_id: app(name).clientId, code: await code(app(name).clientId, redirect, challenge),
      redirect_uri: redirect, code_verifier: verifier, scope,
    };
    results[name] = await page.evaluate(redeem, metadata, form, {});
  }
  results.header = await page.evaluate(redeem, metadata, {}, { "MCP-Protocol-Version": "2025-11-25" });
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(results));
