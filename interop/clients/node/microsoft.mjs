// Runs the flows of MSAL Node and @azure/identity against the tenant that the file
// named by CONFIG describes, and prints what came of each as one JSON object.
import { readFileSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import * as msal from "@azure/msal-node";
import * as azure from "@azure/identity";

const c = JSON.parse(readFileSync(process.env.CONFIG, "utf8"));
const storage = ["https://storage.azure.com/.default"];
const pem = readFileSync(c.certificate, "utf8");
const privateKey = pem.match(/-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/)[0];
const thumbprintSha256 = new X509Certificate(pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/)[0])
  .fingerprint256.replaceAll(":", "");
const clientAssertion = async () => readFileSync(c.tokenFile, "utf8");
const results = {};

async function flow(name, run) {
  try {
    const result = await run();
    results[name] = result?.accessToken ?? result?.token ?? result;
  } catch (error) {
    results[name] = `${error?.name}: ${error?.message}`;
  }
}

/** Has Alice open an address, and returns the query of where she is sent back to. */
async function open(address) {
  const response = await fetch(`${c.person}?open=${encodeURIComponent(address)}`);
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return new URL(text).searchParams;
}

const enter = async (code) => {
  const response = await fetch(`${c.person}?code=${code}`);
  if (!response.ok) throw new Error(await response.text());
};

// MSAL Node.
const authority = `${c.authority}/${c.tenant}`;
const knownAuthorities = [new URL(c.authority).host];
const credentials = {
  secret: { clientSecret: c.apiSecret },
  certificate: { clientCertificate: { thumbprintSha256, privateKey } },
  assertion: { clientAssertion },
};
for (const [kind, credential] of Object.entries(credentials)) {
  const client = new msal.ConfidentialClientApplication({ auth: { clientId: c.apiClientId, authority, knownAuthorities, ...credential } });
  await flow(`MSAL Node: obo ${kind}`, () => client.acquireTokenOnBehalfOf({ oboAssertion: c.userToken, scopes: storage }));
  await flow(`MSAL Node: client ${kind}`, () => client.acquireTokenByClientCredential({ scopes: storage }));
}
await flow("MSAL Node: challenge", async () => {
  const client = new msal.ConfidentialClientApplication({ auth: { clientId: c.apiClientId, authority, knownAuthorities, clientSecret: c.apiSecret } });
  try {
    await client.acquireTokenOnBehalfOf({ oboAssertion: c.userToken, scopes: [c.stepUpScope] });
  } catch (error) {
    if (error instanceof msal.InteractionRequiredAuthError) return error.claims;
    throw error;
  }
});
const web = new msal.ConfidentialClientApplication({ auth: { clientId: c.webClientId, authority, knownAuthorities, clientSecret: c.webSecret } });
let account;
await flow("MSAL Node: code", async () => {
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
  const request = { scopes: [c.apiScope], redirectUri: c.webRedirect };
  const address = await web.getAuthCodeUrl({ ...request, extraScopesToConsent: [c.otherScope], codeChallenge: challenge, codeChallengeMethod: "S256", state: "s", nonce: "n" });
  const back = await open(address);
  const result = await web.acquireTokenByCode({ ...request, code: back.get("code"), codeVerifier: verifier, nonce: "n" });
  account = result.account;
  return result;
});
await flow("MSAL Node: refresh", () => web.acquireTokenSilent({ account, scopes: [c.otherScope], forceRefresh: true }));
await flow("MSAL Node: step up", async () => {
  const { verifier, challenge } = await new msal.CryptoProvider().generatePkceCodes();
  const request = { scopes: [c.apiScope], redirectUri: c.webRedirect, claims: results["MSAL Node: challenge"] };
  const back = await open(await web.getAuthCodeUrl({ ...request, codeChallenge: challenge, codeChallengeMethod: "S256" }));
  const user = await web.acquireTokenByCode({ ...request, code: back.get("code"), codeVerifier: verifier });
  const client = new msal.ConfidentialClientApplication({ auth: { clientId: c.apiClientId, authority, knownAuthorities, clientSecret: c.apiSecret } });
  return client.acquireTokenOnBehalfOf({ oboAssertion: user.accessToken, scopes: [c.stepUpScope] });
});
await flow("MSAL Node: device code", () => {
  const desktop = new msal.PublicClientApplication({ auth: { clientId: c.desktopClientId, authority, knownAuthorities } });
  return desktop.acquireTokenByDeviceCode({ scopes: [c.apiScope], deviceCodeCallback: (answer) => enter(answer.userCode) });
});

// @azure/identity.
const options = { authorityHost: c.authority, disableInstanceDiscovery: true };
const id = [c.tenant, c.apiClientId];
const obo = { ...options, tenantId: c.tenant, clientId: c.apiClientId, userAssertionToken: c.userToken };
for (const [name, make] of Object.entries({
  "obo secret": () => new azure.OnBehalfOfCredential({ ...obo, clientSecret: c.apiSecret }),
  "obo certificate": () => new azure.OnBehalfOfCredential({ ...obo, certificatePath: c.certificate }),
  "obo assertion": () => new azure.OnBehalfOfCredential({ ...obo, getAssertion: clientAssertion }),
  "client secret": () => new azure.ClientSecretCredential(...id, c.apiSecret, options),
  "client certificate": () => new azure.ClientCertificateCredential(...id, c.certificate, options),
  "client assertion": () => new azure.ClientAssertionCredential(...id, clientAssertion, options),
  "workload identity": () => new azure.WorkloadIdentityCredential({ ...options, tenantId: c.tenant, clientId: c.apiClientId, tokenFilePath: c.tokenFile }),
  "managed identity": () => new azure.ManagedIdentityCredential({ clientId: c.identityClientId }),
})) {
  await flow(`@azure/identity: ${name}`, () => make().getToken(storage));
}
await flow("@azure/identity: device code", () =>
  new azure.DeviceCodeCredential({ ...options, tenantId: c.tenant, clientId: c.desktopClientId, userPromptCallback: (info) => enter(info.userCode) }).getToken(c.apiScope));
await flow("@azure/identity: code", async () => {
  const address = `${authority}/oauth2/v2.0/authorize?` + new URLSearchParams({
    client_id: c.webClientId, response_type: "code", redirect_uri: c.webRedirect, scope: `openid offline_access ${c.apiScope}`,
  });
  const back = await open(address);
  return new azure.AuthorizationCodeCredential(c.tenant, c.webClientId, c.webSecret, back.get("code"), c.webRedirect, options).getToken(c.apiScope);
});
await flow("@azure/identity: challenge", async () => {
  try {
    await new azure.OnBehalfOfCredential({ ...obo, clientSecret: c.apiSecret }).getToken(c.stepUpScope);
  } catch (error) {
    return String(error.cause?.claims ?? error.claims ?? JSON.stringify(error.errorResponse ?? error.message));
  }
});

console.log(JSON.stringify(results));
