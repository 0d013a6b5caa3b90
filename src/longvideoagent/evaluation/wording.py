"""Where the wording of a run is from, and whether that belongs to its protocol and its data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longvideoagent.agents.prompts.config import PromptConfig

_SETS = ("longtvqa", "longtvqa-plus")
"""The sets for which the texts of the public code differ, as ``lva layout import --set`` takes them."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The origin of a layout."""

    description: str = "default layout"
    """The layout as it is printed next to a number."""
    is_ours: bool = True
    """Whether it is the default layout."""
    protocol: str = ""
    """The protocol of the public code that it was imported for; empty for other layouts."""
    dataset: str = ""
    """The data set that it was imported for; empty: for any."""

    @classmethod
    def of(cls, config: PromptConfig) -> Wording:
        """The origin of the layout that a team's configuration names. Raises DataError for a file that cannot be
        used."""
        prompt = [] if config.prompt_file is None else [f"prompt {config.prompt_file}"]
        if config.layout is None and config.layout_file is None:
            return cls(", ".join(["default layout", *prompt]), is_ours=not prompt)
        layout = config.read_layout()
        origin = ", ".join(filter(None, (layout.protocol, layout.dataset)))
        name = "layout of the team" if config.layout_file is None else f"layout {config.layout_file}"
        description = ", ".join([f"{name} ({origin})" if origin else name, *prompt])
        return cls(description, is_ours=False, protocol=layout.protocol, dataset=layout.dataset)

    def warnings(self, protocol: str, dataset: str, *, has_agents: bool) -> Iterator[str]:
        """A sentence for each reason why the wording is not that of the public code, if a run of that protocol and set
        claims to be measured as there.

        Args:
            protocol: The name of the run's protocol.
            dataset: The name of the run's data set.
            has_agents: Whether the master can call an agent; the public code has no prompt for one that cannot.
        """
        is_public = protocol.startswith("public-")
        if is_public and not self.protocol:
            whose = "ours" if self.is_ours else f"that of the {self.description}"
            fix = (
                f"lva layout import writes a layout of {protocol}, for --layout"
                if has_agents
                else "none is imported for a master without agents"
            )
            yield f"protocol {protocol}, but the wording is {whose} and not the public code's; {fix}"
        elif is_public and self.protocol != protocol:
            fix = f"give --protocol {self.protocol}, or a layout of {protocol}"
            yield f"the {self.description} was imported for another protocol than the run's, {protocol}; {fix}"
        name = dataset.lower().replace("_", "-")
        if self.dataset and name in _SETS and name != self.dataset:
            fix = f"import one with --set {name}"
            yield f"the {self.description} was imported for another data set than the run's, {dataset}; {fix}"


OUR_WORDING = Wording()
