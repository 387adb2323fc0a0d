"""FastMCP's client, with its own browser sign-in."""

import asyncio
import sys
import threading
import webbrowser

from fastmcp import Client
from fastmcp.client.auth import OAuth
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequestURLParams, ElicitResult

import stage


class Browser(webbrowser.BaseBrowser):
    """The user's browser: the client waits for it at a port of its own."""

    def open(self, url, new=0, autoraise=True):
        threading.Thread(target=stage.visit, args=[url]).start()
        return True


async def answer(message, response_type, params, context):
    if isinstance(params, ElicitRequestURLParams):
        await asyncio.to_thread(stage.consent, params.url)
        return ElicitResult(action="accept")
    return stage.fill_in(params.requested_schema, message)


class Session(stage.Session):
    def __init__(self, client: Client):
        self.client = client
        self.protocol = client.session.protocol_version

    async def list_tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, arguments=None, progress=None):
        async def once():
            return await self.client.call_tool(name, arguments or {}, progress_handler=progress, raise_on_error=False)

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
    webbrowser.register("desk", None, Browser(), preferred=True)
    auth = OAuth(client_id=stage.CLIENT_ID, client_metadata_url=stage.CLIENT_METADATA_URL)
    async with Client(stage.URL, auth=auth, mode=mode, elicitation_handler=answer, timeout=30) as client:
        await stage.perform(Session(client))


asyncio.run(main(sys.argv[1]))
