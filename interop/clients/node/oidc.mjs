// Signs Alice in with openid-client, an OpenID Connect client that knows nothing of Entra, and
// prints what its checks let through.
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const c = JSON.parse(readFileSync(process.env.CONFIG, "utf8"));
const issuer = new URL(`${c.authority}/${c.tenant}/v2.0`);
const config = await client.discovery(issuer, c.webClientId, c.webSecret);
const verifier = client.randomPKCECodeVerifier();
const nonce = client.randomNonce();
const state = client.randomState();
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: c.webRedirect, scope: `openid profile offline_access ${c.apiScope}`, nonce, state,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
});
const response = await fetch(`${c.person}?open=${encodeURIComponent(address)}`);
const back = new URL(await response.text());
const tokens = await client.authorizationCodeGrant(config, back, {
  pkceCodeVerifier: verifier, expectedNonce: nonce, expectedState: state, idTokenExpected: true,
});
const again = await client.refreshTokenGrant(config, tokens.refresh_token, { scope: c.apiScope });
console.log(JSON.stringify({ claims: tokens.claims(), "openid-client: code": tokens.access_token, "openid-client: again": again.access_token }));
