"""Hands a compiled graph to a Kubeflow Pipelines server and starts a run of it."""

import contextlib
import io
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.core.digest import digest_path
from components.core.errors import BadInput, Temporary

TOKEN = "THAW_KFP_TOKEN"  # noqa: S105  the name of the variable, not its value
"""Environment variable with the bearer token of the server."""

_LIMIT = 1 << 20
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_PASSING = {408, 425, 429}
_SHOWN = 300


@dataclass(frozen=True)
class Server:
    """Where a run is started.

    Attributes:
        host: Address of the API.
        namespace: Of the run, where the server serves several users; empty where it serves one.
        experiment: Name of the experiment; made if it is not there.
        service_account: Of the run's pods; empty leaves the server's own.
        token: Bearer token; empty for a server that asks for none.
    """

    host: str
    namespace: str = ""
    experiment: str = "thaw"
    service_account: str = ""
    token: str = ""


@dataclass(frozen=True)
class Started:
    """A run that the server has taken.

    Attributes:
        run: Its id.
        address: Page that shows it.
    """

    run: str
    address: str


def read_token(file: Path | None) -> str:
    """The token in a file, else in the environment, else none.

    Raises:
        BadInput: The file is not there or holds no token.
    """
    if file is None:
        return os.environ.get(TOKEN, "").strip()
    try:
        with file.open(encoding="ascii") as stream:
            token = stream.read(_LIMIT).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("cannot read the token", where=str(file), remedy="correct --token-file") from error
    if not token or any(letter.isspace() for letter in token):
        raise BadInput("the file holds no token", where=str(file), remedy="write the token alone into it")
    return token


def pin(raw: str, content: Path | None) -> dict[str, str]:
    """The graph's parameters for raw data, its content pinned by the digest that it has now.

    Args:
        raw: Where pods find the data; empty for the synthetic data.
        content: The same data on this machine, or the .dvc file that tracks it; None takes `raw` itself.

    Raises:
        BadInput: The content is not known here.
    """
    if not raw:
        return {}
    here = content or Path(raw)
    if not here.exists():
        raise BadInput(
            "the data's content is not known here, and a cache that does not see it would take another's results",
            where=str(here),
            remedy="give --content: the same data on this machine, or its .dvc file",
        )
    return {"raw": raw, "raw_digest": _dvc_digest(here) if here.suffix == ".dvc" else digest_path(here)}


def _dvc_digest(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            outs = yaml.safe_load(stream.read(_LIMIT))["outs"]
        found = [str(one["md5"]) for one in outs]
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise BadInput("not a .dvc file with outputs", where=str(file), remedy="run `dvc add` on the data") from error
    if len(found) != 1 or not _MD5.fullmatch(found[0]):
        raise BadInput("not a .dvc file of one output", where=str(file), remedy="run `dvc add` on the data alone")
    return f"dvc:{found[0]}"


def submit(graph: Path, arguments: Mapping[str, Any], name: str, server: Server) -> Started:
    """Start a run of a compiled graph.

    Args:
        graph: IR YAML.
        arguments: Values of the graph's parameters.
        name: Of the run.

    Raises:
        BadInput: The server refuses, or is none.
        Temporary: It does not answer.
    """
    import kfp

    with _explained(server), _quiet():
        namespace = _namespace(server)
        client = kfp.Client(host=server.host, namespace=namespace, existing_token=server.token or None)
        experiment = client.create_experiment(server.experiment, namespace=namespace or None)
        run = client.run_pipeline(
            experiment_id=experiment.experiment_id,
            job_name=name,
            pipeline_package_path=str(graph),
            params=dict(arguments),
            service_account=server.service_account or None,
        )
    return Started(run.run_id, f"{server.host.rstrip('/')}/#/runs/details/{run.run_id}")


def _namespace(server: Server) -> str:
    """The namespace that the server wants to be told. Raises BadInput where it is told none and needs one."""
    import kfp_server_api

    configuration = kfp_server_api.Configuration(host=server.host.rstrip("/"))
    if server.token:
        configuration.api_key = {"authorization": server.token}
        configuration.api_key_prefix = {"authorization": "Bearer"}
    health = kfp_server_api.HealthzServiceApi(kfp_server_api.ApiClient(configuration)).healthz_service_get_healthz()
    if health.multi_user and not server.namespace:
        raise BadInput("the server serves several users", where=server.host, remedy="give --namespace")
    return server.namespace if health.multi_user else ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the client prints and warns of by itself: the caller says what has been done."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings(
            "ignore", message="This client only works with Kubeflow Pipeline", category=FutureWarning
        )
        yield


@contextlib.contextmanager
def _explained(server: Server) -> Iterator[None]:
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        raise _refused(server, error) from error
    except urllib3.exceptions.LocationValueError as error:
        raise BadInput("not the address of a server", where=server.host, remedy="correct --host") from error
    except (urllib3.exceptions.HTTPError, TimeoutError) as error:
        reason = type(getattr(error, "reason", None) or error).__name__
        raise Temporary(
            f"the pipeline server does not answer: {reason}",
            where=server.host,
            remedy="check --host and the network, and try again",
        ) from error


def _refused(server: Server, error: Any) -> BadInput | Temporary:
    status, said = int(error.status or 0), _said(error.body)
    if status >= 500 or status in _PASSING:
        return Temporary(f"the pipeline server failed ({status}){said}", where=server.host, remedy="try again")
    if status in {401, 403}:
        remedy = f"put a valid token into {TOKEN} or --token-file, and check the account's rights in the namespace"
        return BadInput(f"the pipeline server refuses access ({status}){said}", where=server.host, remedy=remedy)
    remedy = "correct --host: it is the address of the API" if status == 404 else "correct what it names"
    return BadInput(f"the pipeline server refuses the run ({status}){said}", where=server.host, remedy=remedy)


def _said(body: Any) -> str:
    """The server's own words, where it has sent some as JSON."""
    try:
        words = json.loads(body).get("message") or json.loads(body).get("error")
    except (TypeError, ValueError, AttributeError):
        return ""
    return f": {str(words)[:_SHOWN]}" if words else ""
