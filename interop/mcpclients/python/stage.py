"""What the scripts have in common: the steps, and a user who is at the desk."""

import json
import os
import sys
import time
import traceback
from urllib.error import URLError
from urllib.parse import parse_qs, quote, urlparse
from urllib.request import Request, urlopen

URL = os.environ["MCP_URL"]
DESK = os.environ["DESK_URL"]
# Registered beforehand, known by a document, or neither.
CLIENT_ID = os.environ.get("CLIENT_ID")
CLIENT_METADATA_URL = os.environ.get("CLIENT_METADATA_URL")


def say(step: str, text: str) -> None:
    print(json.dumps({"step": step, "text": text}), flush=True)


def desk(path: str) -> bytes:
    with urlopen(Request(DESK + path, method="POST"), timeout=30) as response:
        return response.read()


def open_page(address: str) -> str:
    """Opens a page in the user's browser and returns where it was sent at last."""
    return json.loads(desk("/open?url=" + quote(address, safe="")))["back"]


def consent(address: str) -> None:
    """Opens a consent page; the browser then goes on to the server's own page."""
    with urlopen(open_page(address), timeout=30):
        pass


def query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(address).query).items()}


def visit(address: str) -> None:
    """Opens a sign-in page, and goes where it sends the browser as soon as somebody is there."""
    back = open_page(address)
    for _ in range(1200):
        try:
            with urlopen(back, timeout=30):
                return
        except URLError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody is at {back}")


def fill_in(schema: dict, message: str) -> dict:
    """Answers a form as the user does."""
    if "confirm" in schema["properties"]:
        return {"confirm": "yes.txt" in message}
    return {"name": "Alice"}


class Session:
    """A client that is connected: protocol, list_tools() and call(name, arguments, progress)."""

    protocol: str

    async def list_tools(self) -> list[str]: ...

    async def call(self, name: str, arguments: dict | None = None, progress=None) -> str: ...


async def perform(session: Session) -> None:
    """Does all the steps, or those that STEPS names. One that fails says why, and the next goes on."""
    say("connect", session.protocol)

    async def ping() -> str:
        return json.loads(await session.call("secure_ping"))["message"]

    async def tools() -> str:
        return " ".join(sorted(await session.list_tools()))

    async def blob() -> str:
        return json.loads(await session.call("read_blob_with_token", {"blob_path": "hello.txt"}))["text"]

    async def count() -> str:
        seen = []

        async def progress(done, total, message):
            seen.append(f"{done:g}")

        text = await session.call("count", progress=progress)
        return " ".join([*seen, text])

    async def greet() -> str:
        return await session.call("greet")

    async def delete() -> str:
        ends = []
        for path in ("yes.txt", "no.txt"):
            etag = json.loads(await session.call("stat_blob", {"blob_path": path}))["etag"]
            result = json.loads(await session.call("delete_blob", {"blob_path": path, "if_match": etag}))
            ends.append(" ".join([result["outcome"], *([result["reason"]] if "reason" in result else [])]))
        return ", ".join(ends)

    async def expiry() -> str:
        ahead = int(desk("/later") or 0)  # by how many seconds this clock is to go with the others
        clock = time.time
        time.time = lambda: clock() + ahead
        return await ping()

    async def write() -> str:
        return await session.call("write_note")

    async def whoami() -> str:
        return json.loads(await session.call("get_user_info"))["user_claims"]["upn"]

    steps = {
        "list": tools, "call": ping, "consent": blob, "count": count, "greet": greet, "delete": delete, "expiry": expiry, "write": write, "whoami": whoami,
    }
    for name in os.environ.get("STEPS", " ".join(steps)).split():
        try:
            say(name, await steps[name]())
        except Exception as error:
            say(name, f"{type(error).__name__}: {error}")
            traceback.print_exc(file=sys.stderr)
