"""The CAVE services over a folder: info, chunked graph, materialization versions, Neuroglancer states, tokens.

Tokens are checked as middle-auth does: the Authorization header counts first, then `middle_auth_token` as a query
argument or a cookie. No token is 401 "Unauthorized", a wrong one 401 "Invalid/Expired Token", both plain text with
`WWW-Authenticate`; another scheme than Bearer is 400. (middle-auth sends requests without any sign of a program,
such as an Authorization or an Origin header, to a page to sign in, with 302; `sign_in_page` asks for that.)
"""

from __future__ import annotations

import hmac
import itertools
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import quote, unquote

from ..errors import FormatError, NotFoundError
from .graph_api import GraphApi
from .history import History
from .replies import Reply, Request, json_reply, text_reply

__all__ = ["CaveApi", "Datastack", "TokenGuard"]

_VERSIONS = {
    "/info/version": "4.5.0",
    "/info/api/version": "4.5.0",
    "/segmentation/api/version": "3.1.0",
    "/segmentation/api/versions": [0, 1],
    "/materialize/version": "5.13.0",
    "/materialize/api/versions": [2, 3],
    "/nglstate/api/v1/version": "0.5.0",
}
_SIGN_IN = "/sticky_auth/api/v1/authorize"
_TIME = "%Y-%m-%dT%H:%M:%S.%f"


@dataclass(frozen=True, slots=True)
class Datastack:
    """What `demo.json` says of a folder.

    Parameters
    ----------
    name, description : str
        Of the datastack.
    viewer_resolution : tuple of float
        nm per voxel that people's coordinates are in.
    layers : mapping of str to str
        Subfolders by role: "imagery", "supervoxels", "segmentation", and any others.
    table : str
        Of the chunked graph.
    graph : mapping
        The `graph` entry of the segmentation's info.
    kind : {"graphene", "precomputed"}
        What the segmentation source is: the chunked graph, or the flat layer "segmentation".
    viewer_site : str
        Where links to Neuroglancer lead.
    """

    name: str
    description: str
    viewer_resolution: tuple[float, ...]
    layers: Mapping[str, str]
    table: str
    graph: Mapping[str, Any]
    kind: Literal["graphene", "precomputed"]
    viewer_site: str

    @classmethod
    def load(cls, folder: Path) -> Datastack | None:
        """Read a folder's `demo.json`; None where there is none.

        Raises
        ------
        FormatError
            If it lacks something.
        """
        file = folder / "demo.json"
        if not file.is_file():
            return None
        try:
            text = json.loads(file.read_text(encoding="utf-8"))
            kind = text["segmentation_kind"]
            if kind not in ("graphene", "precomputed"):
                raise ValueError(f"segmentation_kind {kind!r} is neither 'graphene' nor 'precomputed'")
            return cls(
                name=text["datastack"],
                description=text["description"],
                viewer_resolution=tuple(float(r) for r in text["viewer_resolution"]),
                layers=dict(text["layers"]),
                table=text["table"],
                graph=dict(text["graph"]),
                kind=cast(Literal["graphene", "precomputed"], kind),
                viewer_site=text.get("viewer_site", "https://spelunker.cave-explorer.org"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{file} does not describe a datastack: {error!r}") from None


class TokenGuard:
    """Lets requests pass that hold the token.

    Parameters
    ----------
    token : str or None
        What to hold; None lets all pass.
    sign_in_page : bool
        Send a request that shows no sign of a program to a page to sign in, as middle-auth does.
    """

    def __init__(self, token: str | None, *, sign_in_page: bool = False) -> None:
        self._token = token
        self._sign_in_page = sign_in_page

    def refuse(self, request: Request, url: str) -> Reply | None:
        """Give the refusal that a request deserves, None for none."""
        if self._token is None:
            return None
        realm = f'Bearer realm="{url}{_SIGN_IN}"'
        header = request.header("Authorization")
        if header and not header.startswith("Bearer "):
            return text_reply("Invalid Request", 400).with_headers(
                WWW_Authenticate=f'{realm}, error="invalid_request", '
                "error_description=\"Header must begin with 'Bearer'\""
            )
        given = header.removeprefix("Bearer ") or request.arguments.get("middle_auth_token") or _cookie(request)
        if given and hmac.compare_digest(given.encode(), self._token.encode()):
            return None
        program = header or request.header("X-Requested-With") or request.header("Origin")
        if self._sign_in_page and not program:
            where = quote(f"{url}{request.path}", safe="")
            return text_reply("", 302).with_headers(Location=f"{url}{_SIGN_IN}?redirect={where}")
        if not given:
            return text_reply("Unauthorized", 401).with_headers(WWW_Authenticate=realm)
        return text_reply("Invalid/Expired Token", 401).with_headers(
            WWW_Authenticate=f'{realm}, error="invalid_token", error_description="Invalid/Expired Token"'
        )


class CaveApi:
    """CAVE's services for one datastack.

    Parameters
    ----------
    folder : Path
        Holds `demo.json`, the layers, and the history where the segmentation is a chunked graph.
    datastack : Datastack
        What `demo.json` says.
    guard : TokenGuard
        Who may ask.

    Raises
    ------
    NotFoundError
        If the history is absent, or the supervoxels have no info.
    """

    def __init__(self, folder: Path, datastack: Datastack, guard: TokenGuard) -> None:
        self.datastack = datastack
        self._guard = guard
        self._states: dict[int, bytes] = {}
        self._numbers = itertools.count(5_000_000_000_000_001)
        self._lock = threading.Lock()
        has_history = (folder / "history.json").is_file()
        self.history = History.load(folder) if has_history or datastack.kind == "graphene" else None
        self._graph: GraphApi | None = None
        if self.history is not None and datastack.kind == "graphene":
            self._info = _read_info(folder / datastack.layers.get("supervoxels", "supervoxels"))
            self._graph = GraphApi(self.history, self._info["scales"][0].get("voxel_offset", (0, 0, 0)))

    def answer(self, request: Request, url: str) -> Reply:
        """Answer a request to a server whose own address is `url`."""
        path = unquote(request.path)
        if path == _SIGN_IN:
            return text_reply("<!doctype html><title>Sign in</title>Sign in")
        refusal = self._guard.refuse(request, url)
        if refusal is not None:
            return refusal
        if path in _VERSIONS:
            reply: Reply | None = json_reply(_VERSIONS[path])
        else:
            service, _, rest = path.lstrip("/").partition("/")
            answers = {
                "info": self._answer_info,
                "segmentation": self._answer_segmentation,
                "materialize": self._answer_materialize,
                "nglstate": self._answer_state,
                "auth": self._answer_auth,
            }
            reply = answers[service](request, rest, url) if service in answers else None
        if reply is None:
            reply = text_reply("<!doctype html><title>404 Not Found</title>Not Found", 404)
        return reply.compressed() if request.accepts_gzip() else reply

    def _answer_info(self, request: Request, rest: str, url: str) -> Reply | None:
        if request.method != "GET" or not rest.startswith("api/v2/"):
            return None
        name = self.datastack.name
        volume = {
            "id": 1,
            "name": name,
            "image_source": f"precomputed://{url}/data/imagery",
            "description": self.datastack.description,
        }
        answers: dict[str, Any] = {
            "datastacks": [name],
            f"datastack/full/{name}": self._full(volume, url),
            f"datastack/{name}/image_sources": [volume],
            "aligned_volume": [name],
            f"aligned_volume/{name}": volume,
            "aligned_volume/id/1": volume,
            f"aligned_volume/{name}/datastacks": [name],
        }
        call = rest.removeprefix("api/v2/").rstrip("/")
        return json_reply(answers[call]) if call in answers else None

    def _full(self, volume: dict[str, Any], url: str) -> dict[str, Any]:
        stack = self.datastack
        source = f"precomputed://{url}/data/segmentation"
        if stack.kind == "graphene":
            source = f"graphene://{url}/segmentation/table/{stack.table}"
        x, y, z = stack.viewer_resolution
        return {
            "aligned_volume": volume,
            "analysis_database": None,
            "base_link": f"{url}/nglstate/",
            "cell_identification_table": None,
            "description": stack.description,
            "local_server": url,
            "proofreading_review_table": None,
            "proofreading_status_table": None,
            "segmentation_source": source,
            "skeleton_source": None,
            "soma_table": None,
            "synapse_table": None,
            "viewer_resolution_x": x,
            "viewer_resolution_y": y,
            "viewer_resolution_z": z,
            "viewer_site": stack.viewer_site,
        }

    def _answer_segmentation(self, request: Request, rest: str, url: str) -> Reply | None:
        found = re.fullmatch(r"(?:api/v1/)?table/([^/]+)/(.+)", rest)
        if found is None or self._graph is None:
            return None
        table, call = found.groups()
        if table != self.datastack.table:
            return text_reply("Invalid table_id for service", 400)
        if call == "info" and request.method == "GET":
            return json_reply(
                {
                    **self._info,
                    "app": {"supported_api_versions": _VERSIONS["/segmentation/api/versions"]},
                    "chunks_start_at_voxel_offset": True,
                    "data_dir": f"{url}/data/supervoxels",
                    "graph": self.datastack.graph,
                    "sharded_mesh": True,
                    "verify_mesh": False,
                }
            )
        return self._graph.answer(request, call) if rest.startswith("api/v1/") else None

    def _answer_materialize(self, request: Request, rest: str, url: str) -> Reply | None:
        found = re.fullmatch(r"api/v[23]/datastack/([^/]+)/(.+)", rest)
        if found is None or request.method != "GET":
            return None
        name, call = found.groups()
        if name != self.datastack.name:
            return json_reply({"error": f"datastack {name} not found"}, 404)
        moments = {} if self.history is None else self.history.versions
        if call == "versions":
            return json_reply(list(moments))
        if call == "metadata":
            return json_reply([self._version(number, moment) for number, moment in moments.items()])
        version = re.fullmatch(r"version/(\d+)(/tables)?", call)
        if version is None:
            return None
        number = int(version.group(1))
        if number not in moments:
            return json_reply({"error": f"version {number} not found"}, 404)
        return json_reply([] if version.group(2) else self._version(number, moments[number]))

    def _version(self, number: int, moment: float) -> dict[str, Any]:
        made = datetime.fromtimestamp(moment, UTC)
        return {
            "id": number,
            "version": number,
            "datastack": self.datastack.name,
            "time_stamp": made.strftime(_TIME),
            "expires_on": made.replace(year=made.year + 100, day=min(made.day, 28)).strftime(_TIME),
            "valid": True,
            "is_merged": True,
            "parent_version": None,
            "status": "AVAILABLE",
        }

    def _answer_state(self, request: Request, rest: str, url: str) -> Reply | None:
        found = re.fullmatch(r"(?:api/v1/)?(property/)?(?:(post)(?:/(\d+))?|(?:raw/)?(\d+)(?:/info)?)", rest)
        if found is None:
            return None
        kind, post, wanted, number = found.groups()
        if post and request.method == "POST":
            try:
                json.loads(request.body)
            except ValueError:
                return json_reply({"error": "the state is not JSON"}, 400)
            with self._lock:
                key = int(wanted) if wanted else next(self._numbers)
                self._states[key] = request.body
            return json_reply(f"{url}/nglstate/api/v1/{kind or ''}{key}")
        if number and request.method == "GET":
            state = self._states.get(int(number))
            if state is None:
                return json_reply({"error": "ID not found"}, 404)
            return Reply(200, state, {"Content-Type": "application/json"})
        return None

    def _answer_auth(self, request: Request, rest: str, url: str) -> Reply | None:
        user = {"id": 1, "name": "Demo User", "email": "demo@localhost", "admin": False, "groups": []}
        if request.method == "GET" and rest in ("api/v1/user/me", "api/v1/user/cache"):
            permissions = {self.datastack.name: ["view"]}
            return json_reply({**user, "permissions_v2": permissions, "missing_tos": []})
        return None


def _cookie(request: Request) -> str:
    try:
        cookies = SimpleCookie(request.header("Cookie"))
    except CookieError:
        return ""
    return cookies["middle_auth_token"].value if "middle_auth_token" in cookies else ""


def _read_info(layer: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = json.loads((layer / "info").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{layer} holds no info; a chunked graph needs its supervoxels there") from None
    except ValueError as error:
        raise FormatError(f"{layer / 'info'} is not JSON: {error}") from None
    return info
