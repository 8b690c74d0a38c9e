"""The `export:` section of a params file."""

from pydantic import Field, model_validator

from components.core.export.policy import Policy

RESEARCH = "Research on the reader's own data, by people who judge every result."


class Export(Policy):
    """How a model leaves the project.

    Attributes:
        version: Of the model, as its users count.
        changelog: What changed, by version; must name `version`.
        intended_use: One sentence. "Not for diagnosis" is said beside it whatever it says.
        authors: Who answers for the model.
        copyright: Of the model.
    """

    version: str = Field(default="0.1.0", pattern=r"^\d+\.\d+\.\d+$")
    changelog: dict[str, str] = {"0.1.0": "first export"}
    intended_use: str = Field(default=RESEARCH, min_length=1)
    authors: str = ""
    copyright: str = ""

    @model_validator(mode="after")
    def _version_has_an_entry(self) -> "Export":
        if self.version not in self.changelog:
            raise ValueError(f"changelog says nothing of version {self.version}; it names {sorted(self.changelog)}")
        return self
