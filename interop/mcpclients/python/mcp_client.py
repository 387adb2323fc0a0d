"""mcp, the client of the Python SDK."""

import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestURLParams, ElicitResult

import stage

REDIRECT = "http://localhost:33418/callback"


class Storage:
    """Holds tokens, and the registration."""

    tokens = None
    client = stage.CLIENT_ID and OAuthClientInformationFull(
        client_id=stage.CLIENT_ID, redirect_uris=[REDIRECT], token_endpoint_auth_method="none"
    )

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class User:
    """Signs in when asked to."""

    async def redirect(self, address: str) -> None:
        self.back = stage.query(await asyncio.to_thread(stage.open_page, address))

    async def callback(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=self.back["code"], state=self.back.get("state"), iss=self.back.get("iss"))


async def answer(context, params) -> ElicitResult:
    if isinstance(params, ElicitRequestURLParams):
        await asyncio.to_thread(stage.consent, params.url)
        return ElicitResult(action="accept")
    return ElicitResult(action="accept", content=stage.fill_in(params.requested_schema, params.message))


class Session(stage.Session):
    def __init__(self, client: Client):
        self.client, self.protocol = client, client.protocol_version

    async def list_tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name, arguments=None, progress=None):
        async def once():
            return await self.client.call_tool(name, arguments or {}, progress_callback=progress)

        try:
            result = await once()
        except MCPError as error:
            if error.code != -32042:
                raise
            for elicitation in error.data["elicitations"]:
                await asyncio.to_thread(stage.consent, elicitation["url"])
            result = await once()
        return " ".join(content.text for content in result.content)


async def main(mode: str) -> None:
    user = User()
    metadata = OAuthClientMetadata(client_name="interop", redirect_uris=[REDIRECT], token_endpoint_auth_method="none")
    auth = OAuthClientProvider(
        stage.URL, metadata, Storage(), user.redirect, user.callback, client_metadata_url=stage.CLIENT_METADATA_URL
    )
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        transport = streamable_http_client(stage.URL, http_client=http)
        async with Client(transport, mode=mode, elicitation_callback=answer) as client:
            await stage.perform(Session(client))


asyncio.run(main(sys.argv[1]))
