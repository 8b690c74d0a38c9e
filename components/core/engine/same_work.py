"""The processes of a launch must train the same: the code, values and inputs of each are its own machine's."""

import json

from components.core.digest import digest_values
from components.core.engine.ranks import Ranks
from components.core.errors import BadInput
from components.core.identity import Identity


def require_same_work(ranks: Ranks, identity: Identity) -> None:
    """Refuse to train where the processes were given different things.

    Raises:
        BadInput: In every process, naming what differs.
    """
    if ranks.size == 1:
        return
    values = {f"value {key}": digest_values(value) for key, value in identity.config.items()}
    inputs = {f"input {name}": digest for name, digest in identity.inputs.items()}
    told = ranks.texts(json.dumps({"stage": identity.stage, "code": identity.code, **values, **inputs}))
    found = [json.loads(text) for text in told]
    differing = sorted({key for each in found for key in {*each, *found[0]} if each.get(key) != found[0].get(key)})
    if differing:
        raise BadInput(
            f"the processes of this launch do not train the same: they differ in {', '.join(differing)}",
            where=f"{ranks.size} processes",
            remedy="give each machine the same code, values and inputs",
        )
