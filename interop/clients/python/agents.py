"""Acts as an agent identity with MSAL Python, as its documentation says: the blueprint's client gets
the token that proves the agent, and the agent's client does the rest. CONFIG names a JSON file with
the tenant's values. Prints a JSON object: a token, or the error, by the name of the flow."""

import json
import os

import msal

with open(os.environ["CONFIG"], encoding="utf-8") as file:
    config = json.load(file)
common = {"authority": f"{config['authority']}/{config['tenant']}", "instance_discovery": False}
exchange = ["api://AzureADTokenExchange/.default"]
scopes = [config["agentScope"]]

blueprint = msal.ConfidentialClientApplication(config["blueprintClientId"], client_credential=config["blueprintSecret"], **common)


def prove():
    return blueprint.acquire_token_for_client(exchange, fmi_path=config["agentClientId"])["access_token"]


agent = msal.ConfidentialClientApplication(config["agentClientId"], client_credential={"client_assertion": prove}, **common)
own = agent.acquire_token_for_client(exchange)["access_token"]
flows = {
    "for a person": lambda: agent.acquire_token_on_behalf_of(config["blueprintToken"], scopes),
    "alone": lambda: agent.acquire_token_for_client(scopes),
    "as agent user, by name": lambda: agent.acquire_token_by_user_federated_identity_credential(scopes, own, username=config["agentUser"]),
    "as agent user, by id": lambda: agent.acquire_token_by_user_federated_identity_credential(scopes, own, user_object_id=config["agentUserId"]),
    "without consent": lambda: agent.acquire_token_on_behalf_of(config["blueprintToken"], ["https://graph.microsoft.com/.default"]),
}
results = {}
for name, run in flows.items():
    result = run()
    results[name] = result.get("access_token") or json.dumps(result)
print(json.dumps(results))
