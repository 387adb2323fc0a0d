"""Runs the flows of MSAL Python and azure-identity against the tenant that the file
named by CONFIG describes, and prints what came of each as one JSON object."""

import json
import os
import urllib.parse
import urllib.request

import azure.identity as azure
import msal

with open(os.environ["CONFIG"], encoding="utf-8") as file:
    c = json.load(file)
storage = "https://storage.azure.com/.default"
authority = f"{c['authority']}/{c['tenant']}"
results = {}


def read(path):
    with open(path, encoding="utf-8") as opened:
        return opened.read()


def flow(name, run):
    try:
        result = run()
        if isinstance(result, dict):
            result = result.get("access_token") or json.dumps(result)
        results[name] = getattr(result, "token", result)
    except Exception as error:  # whatever it is, the test shows it
        results[name] = f"{type(error).__name__}: {error}"


def person(**query):
    """Has Alice open an address or enter a code, and returns where she is sent back to."""
    with urllib.request.urlopen(f"{c['person']}?{urllib.parse.urlencode(query)}") as response:
        return response.read().decode()


def parameters(address):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlparse(address).query))


# MSAL Python.
common = {"authority": authority, "instance_discovery": False, "verify": c["ca"]}
credentials = {
    "secret": c["apiSecret"],
    "certificate": {"private_key": read(c["certificate"]), "thumbprint": c["thumbprint"]},
    "assertion": {"client_assertion": read(c["tokenFile"])},
}
for kind, credential in credentials.items():
    client = msal.ConfidentialClientApplication(c["apiClientId"], client_credential=credential, **common)
    flow(f"MSAL Python: obo {kind}", lambda: client.acquire_token_on_behalf_of(c["userToken"], [storage]))
    flow(f"MSAL Python: client {kind}", lambda: client.acquire_token_for_client([storage]))
client = msal.ConfidentialClientApplication(c["apiClientId"], client_credential=c["apiSecret"], **common)
flow("MSAL Python: challenge", lambda: client.acquire_token_on_behalf_of(c["userToken"], [c["stepUpScope"]])["claims"])

web = msal.ConfidentialClientApplication(c["webClientId"], client_credential=c["webSecret"], **common)


def code():
    begun = web.initiate_auth_code_flow([c["apiScope"]], redirect_uri=c["webRedirect"])
    return web.acquire_token_by_auth_code_flow(begun, parameters(person(open=begun["auth_uri"])))


def consent_to_other():
    begun = web.initiate_auth_code_flow([c["otherScope"]], redirect_uri=c["webRedirect"])
    return person(open=begun["auth_uri"])


flow("MSAL Python: code", code)
flow("MSAL Python: consent", consent_to_other)
flow("MSAL Python: refresh", lambda: web.acquire_token_silent_with_error([c["otherScope"]], account=web.get_accounts()[0]))


def step_up():
    begun = web.initiate_auth_code_flow(
        [c["apiScope"]], redirect_uri=c["webRedirect"], claims_challenge=results["MSAL Python: challenge"]
    )
    user = web.acquire_token_by_auth_code_flow(begun, parameters(person(open=begun["auth_uri"])))
    return client.acquire_token_on_behalf_of(user["access_token"], [c["stepUpScope"]])


flow("MSAL Python: step up", step_up)


def device():
    desktop = msal.PublicClientApplication(c["desktopClientId"], **common)
    begun = desktop.initiate_device_flow([c["apiScope"]])
    person(code=begun["user_code"])
    return desktop.acquire_token_by_device_flow(begun)


flow("MSAL Python: device code", device)

# azure-identity. The tenant's certificate comes by REQUESTS_CA_BUNDLE.
options = {"authority": c["authority"], "disable_instance_discovery": True}
api = {"tenant_id": c["tenant"], "client_id": c["apiClientId"], **options}
for name, make in {
    "obo secret": lambda: azure.OnBehalfOfCredential(client_secret=c["apiSecret"], user_assertion=c["userToken"], **api),
    "obo certificate": lambda: azure.OnBehalfOfCredential(
        client_certificate=read(c["certificate"]).encode(), user_assertion=c["userToken"], **api
    ),
    "obo assertion": lambda: azure.OnBehalfOfCredential(
        client_assertion_func=lambda: read(c["tokenFile"]), user_assertion=c["userToken"], **api
    ),
    "client secret": lambda: azure.ClientSecretCredential(client_secret=c["apiSecret"], **api),
    "client certificate": lambda: azure.CertificateCredential(certificate_path=c["certificate"], **api),
    "client assertion": lambda: azure.ClientAssertionCredential(func=lambda: read(c["tokenFile"]), **api),
    "workload identity": lambda: azure.WorkloadIdentityCredential(token_file_path=c["tokenFile"], **api),
    "managed identity": lambda: azure.ManagedIdentityCredential(client_id=c["identityClientId"]),
}.items():
    flow(f"azure-identity: {name}", lambda: make().get_token(storage))
flow(
    "azure-identity: device code",
    lambda: azure.DeviceCodeCredential(
        c["desktopClientId"], tenant_id=c["tenant"], prompt_callback=lambda uri, user_code, expires: person(code=user_code), **options
    ).get_token(c["apiScope"]),
)


def authorization_code():
    query = {
        "client_id": c["webClientId"], "response_type": "code", "redirect_uri": c["webRedirect"],
        "scope": f"openid offline_access {c['apiScope']}",
    }
    back = person(open=f"{authority}/oauth2/v2.0/authorize?{urllib.parse.urlencode(query)}")
    return azure.AuthorizationCodeCredential(
        c["tenant"], c["webClientId"], parameters(back)["code"], c["webRedirect"], client_secret=c["webSecret"], **options
    ).get_token(c["apiScope"])


flow("azure-identity: code", authorization_code)
print(json.dumps(results))
