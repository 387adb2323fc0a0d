"""Signs in with MSAL Python at "mcp-entra tenant", as described in docs/tenant.md: the authority
and the ids come from the program, the CA from REQUESTS_CA_BUNDLE, and nothing is patched."""

import html
import json
import os
import re
import urllib.parse

import msal
import requests

with open(os.environ["CONFIG"], encoding="utf-8") as file:
    tenant = json.load(file)["tenants"][0]
apps = {app["name"]: app for app in tenant["apps"]}
scope = apps["api"]["scopes"][0]
storage = "https://storage.azure.com/.default"
common = {"authority": tenant["authority"], "instance_discovery": False}
results = {}


def go_through(session, response, **first):
    """Answers the tenant's pages as Alice, and returns the last response."""
    while "Location" not in response.headers and "<form" in response.text:
        page = response.text
        fields = {name: html.unescape(value) for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)}
        if 'name="name"' in page:  # pick an account
            fields |= {"action": "account", "name": "alice@contoso.example"}
        elif 'value="consent"' in page:
            fields["action"] = "consent"
        fields |= first
        first = {}
        action = html.unescape(re.search(r'<form method="post"[^>]* action="([^"]*)"', page)[1])
        response = session.post(urllib.parse.urljoin(response.url, action), data=fields, allow_redirects=False)
    return response


def flow(name, run):
    try:
        result = run()
        results[name] = result.get("access_token") or json.dumps(result)
    except Exception as error:  # whatever it is, the test shows it
        results[name] = f"{type(error).__name__}: {error}"


def code():
    web = msal.ConfidentialClientApplication(apps["web"]["clientId"], client_credential=os.environ["WEB_SECRET"], **common)
    begun = web.initiate_auth_code_flow([scope], redirect_uri="http://localhost:5000/callback")
    session = requests.Session()
    back = go_through(session, session.get(begun["auth_uri"], allow_redirects=False)).headers["Location"]
    return web.acquire_token_by_auth_code_flow(begun, dict(urllib.parse.parse_qsl(urllib.parse.urlparse(back).query)))


def device():
    client = msal.PublicClientApplication(apps["client"]["clientId"], **common)
    begun = client.initiate_device_flow([scope])
    session = requests.Session()
    done = go_through(session, session.get(begun["verification_uri"]), otc=begun["user_code"])
    if "You have signed in" not in done.text:
        raise RuntimeError(done.text)
    return client.acquire_token_by_device_flow(begun)


api = msal.ConfidentialClientApplication(apps["api"]["clientId"], client_credential=os.environ["API_SECRET"], **common)
flow("code", code)
flow("device code", device)
flow("on behalf of", lambda: api.acquire_token_on_behalf_of(results["code"], [storage]))
flow("client credentials", lambda: api.acquire_token_for_client([storage]))
print(json.dumps(results))
