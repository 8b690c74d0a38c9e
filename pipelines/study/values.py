"""A study file: which variants of a recipe there are, and what is compared with what."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, field_validator

from components import stages
from components.core.config import Values, validate
from components.core.errors import BadInput

STUDIES = Path(__file__).resolve().parents[1] / "studies"
"""Study files that are shipped: one per recipe that has one."""

EVALUATE = "evaluate"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""What a variant may be called: it names folders."""

WITHOUT = "without"
"""Key of overrides that takes values out before others are laid over them: a list of dotted keys."""


def _overrides(given: Any) -> Any:
    """Nothing stands for the recipe as it is."""
    if not isinstance(given, Mapping):
        return {} if given is None else given
    taken = given.get(WITHOUT, [])
    if not isinstance(taken, list) or not all(isinstance(key, str) and key for key in taken):
        raise ValueError(f"{WITHOUT!r} is a list of dotted keys")
    return given


Overrides = Annotated[dict[str, Any], BeforeValidator(_overrides)]
"""Values laid over those of the size, section by section; `without` lists keys to take out first."""


class Measure(Values):
    """One comparison.

    Attributes:
        name: What the answer tells, in a few words.
        of: `variant/system`, as the evaluation names its systems; the variant alone for another stage's numbers.
        against: The same for what it is compared with.
        metric: Of the evaluation's scores and statistics, the headline by default. For another stage: dotted key in
            its metrics, `probe.after` for example.
        stage: Whose numbers they are. A variant that no evaluation is asked of stops after the last stage asked.
    """

    name: str = Field(min_length=1)
    of: str
    against: str
    metric: str = ""
    stage: str = EVALUATE

    @property
    def sides(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Variant and system of both sides; the system is empty for a stage's own numbers."""
        (a, _, b), (c, _, d) = self.of.partition("/"), self.against.partition("/")
        return (a, b), (c, d)

    @property
    def is_evaluated(self) -> bool:
        """Is it a comparison of judged systems, case by case?"""
        return self.stage == EVALUATE


class Study(Values):
    """Variants of a recipe, and the comparisons they are there for.

    Attributes:
        about: What the study asks, for the heading of its results.
        shared: Values of every variant, laid over those of the size.
        variants: Changes by name, laid over `shared`. Runs are made in this order, for one seed after the other.
        measures: Comparisons, in the order in which they are reported.
    """

    about: str = ""
    shared: Overrides = {}
    variants: dict[str, Overrides] = Field(min_length=1)
    measures: list[Measure] = []

    @field_validator("variants")
    @classmethod
    def _names(cls, variants: dict[str, Overrides]) -> dict[str, Overrides]:
        wrong = [name for name in variants if not NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"{wrong} cannot name folders: use letters, digits, and _ . + - inside")
        return variants

    def until(self, variant: str) -> str:
        """The last stage that a variant must run."""
        asked = [one.stage for one in self.measures if variant in (side[0] for side in one.sides)]
        if not asked or EVALUATE in asked:
            return EVALUATE
        return max(asked, key=stages.NAMES.index)


def read_study(file: Path) -> Study:
    """Read a study file.

    Raises:
        BadInput: It is missing, not valid, or compares what it does not define.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"no study file: {error.strerror}", where=str(file), remedy="correct --study") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"not valid YAML: {error}", where=str(file), remedy="mend the syntax") from error
    if not isinstance(document, Mapping):
        raise BadInput("a study file is a mapping", where=str(file), remedy="start with `variants:`")
    study = validate(Study, document, str(file))
    for number, measure in enumerate(study.measures):
        _check(study, measure, f"{file}: measures.{number} ({measure.name})")
    _unique([measure.name for measure in study.measures], f"{file}: measures")
    return study


def default_study(recipe: str) -> Path:
    """The shipped study of a recipe.

    Raises:
        BadInput: There is none.
    """
    file = STUDIES / f"{recipe}.yaml"
    if not file.exists():
        shipped = ", ".join(sorted(one.stem for one in STUDIES.glob("*.yaml"))) or "none"
        raise BadInput(
            f"no study of {recipe!r} is shipped", where=str(file), remedy=f"give --study FILE (shipped: {shipped})"
        )
    return file


def require_known(name: str, known: Iterable[str], what: str, where: str) -> None:
    """Refuse a name that does not exist, with those that do.

    Raises:
        BadInput: It is not among them.
    """
    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BadInput(f"no {what} {name!r}", where=where, remedy=f"{hint}there are {', '.join(names) or 'none'}")


def _check(study: Study, measure: Measure, where: str) -> None:
    require_known(measure.stage, [name for name in stages.NAMES if name != "export"], "stage", f"{where}.stage")
    for key, (variant, system) in zip(("of", "against"), measure.sides, strict=True):
        require_known(variant, study.variants, "variant", f"{where}.{key}")
        if measure.is_evaluated and not system:
            raise BadInput(
                f"the evaluation has many systems, {variant!r} does not say which",
                where=f"{where}.{key}",
                remedy=f"write {variant}/end_to_end, for example",
            )
        if not measure.is_evaluated and system:
            raise BadInput(
                f"{measure.stage} has no systems to choose from", where=f"{where}.{key}", remedy=f"write {variant}"
            )
    if not measure.is_evaluated and not measure.metric:
        raise BadInput(f"{measure.stage} has no headline", where=where, remedy="add metric: the key in its metrics")


def _unique(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"two measures are called {twice[0]!r}", where=where, remedy="give each its own name")
