// Signs in with MSAL Node at "mcp-entra tenant", as described in docs/tenant.md: the authority and
// the ids come from the program, the CA from NODE_EXTRA_CA_CERTS, and nothing is patched.
import { readFileSync } from "node:fs";
import * as msal from "@azure/msal-node";

const tenant = JSON.parse(readFileSync(process.env.CONFIG, "utf8")).tenants[0];
const app = (name) => tenant.apps.find((a) => a.name === name);
const scope = app("api").scopes[0];
const storage = "https://storage.azure.com/.default";
const knownAuthorities = [new URL(tenant.authority).host];
const auth = (name, secret) => ({ auth: { clientId: app(name).clientId, authority: tenant.authority, knownAuthorities, clientSecret: secret } });
const results = {};

const unescape = (text) => text.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n)).replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

/** Answers the tenant's pages as Alice, and returns where she is sent back to, or the last page. */
async function goThrough(address, first = {}) {
  const cookies = new Map();
  let url = address, options = {};
  for (;;) {
    const response = await fetch(url, { ...options, redirect: "manual", headers: { cookie: [...cookies].map((c) => c.join("=")).join("; ") } });
    for (const cookie of response.headers.getSetCookie()) cookies.set(...cookie.split(";")[0].split(/=(.*)/s));
    if (response.headers.has("location")) return response.headers.get("location");
    const page = await response.text();
    const form = page.match(/<form method="post"[^>]* action="([^"]*)"/);
    if (!form) return page;
    const fields = new URLSearchParams();
    for (const [, name, value] of page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) fields.set(name, unescape(value));
    if (page.includes('name="name"')) {
      fields.set("action", "account");
      fields.set("name", "alice@contoso.example");
    } else if (page.includes('value="consent"')) {
      fields.set("action", "consent");
    }
    for (const [name, value] of Object.entries(first)) fields.set(name, value);
    first = {};
    url = new URL(unescape(form[1]), url);
    options = { method: "POST", body: fields };
  }
}

async function flow(name, run) {
  try {
    results[name] = (await run()).accessToken;
  } catch (error) {
    results[name] = `${error?.name}: ${error?.message}`;
  }
}

await flow("code", async () => {
  const web = new msal.ConfidentialClientApplication(auth("web", process.env.WEB_SECRET));
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
  const request = { scopes: [scope], redirectUri: "http://localhost:5000/callback" };
  const back = await goThrough(await web.getAuthCodeUrl({ ...request, codeChallenge: challenge, codeChallengeMethod: "S256", state: "s" }));
  return web.acquireTokenByCode({ ...request, code: new URL(back).searchParams.get("code"), codeVerifier: verifier });
});
await flow("device code", () => new msal.PublicClientApplication(auth("client")).acquireTokenByDeviceCode({
  scopes: [scope], deviceCodeCallback: (begun) => goThrough(begun.verificationUri, { otc: begun.userCode }),
}));
const api = new msal.ConfidentialClientApplication(auth("api", process.env.API_SECRET));
await flow("on behalf of", () => api.acquireTokenOnBehalfOf({ oboAssertion: results.code, scopes: [storage] }));
await flow("client credentials", () => api.acquireTokenByClientCredential({ scopes: [storage] }));
console.log(JSON.stringify(results));
