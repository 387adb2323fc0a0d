"""FastMCP with its verifier of Entra's tokens, stateless on uvicorn."""

import json
import os
import socket
from urllib.parse import urlsplit

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.providers.azure import AzureJWTVerifier
from pydantic import BaseModel

settings = json.loads(os.environ["BENCH_CALLS"])


class Note(BaseModel):
    id: str
    title: str


class Found(BaseModel):
    notes: list[Note]


def search(text: str, limit: int = 20) -> Found:
    return Found(
        notes=[
            Note(id="n-1", title="Shopping for the weekend"),
            Note(id="n-2", title="Questions to the landlord"),
        ]
    )


mcp = FastMCP(
    "bench",
    auth=AzureJWTVerifier(
        client_id=settings["clientID"],
        tenant_id=settings["tenantID"],
        required_scopes=[settings["scope"]],
        base_authority=urlsplit(settings["authorityHost"]).netloc,
    ),
)
for tool in settings["tools"]:
    mcp.tool(search, name=tool["name"], title=tool["title"], description=tool["description"])

listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
config = uvicorn.Config(mcp.http_app(path="/mcp", stateless_http=True), log_level="warning", access_log=False)
uvicorn.Server(config).run(sockets=[listener])
