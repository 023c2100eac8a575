"""What the documents and the deployment show of profiles is right."""

import re
from pathlib import Path

import pytest

from shared.domain.profile.document import read_document
from shared.domain.profile.provider import Limits
from shared.domain.profile.template import slots_in
from shared.providers.loading import read_file
from shared.providers.presets import presets

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/providers.md").read_text(encoding="utf-8")
BLOCKS = [
    block for block in re.findall(r"(?:^    .*\n|^\n)+", PAGE, re.MULTILINE) if block.lstrip().startswith("[providers.")
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().partition("]")[0])
def test_the_profiles_of_the_page(block: str) -> None:
    read_document(re.sub(r"^    ", "", block, flags=re.MULTILINE), presets(), Limits())


def test_the_page_has_a_preset_and_a_profile_of_ones_own() -> None:
    assert len(BLOCKS) == 3


def test_the_page_names_each_preset_with_what_it_needs() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE))
    for name in presets():
        values, secrets, more = rows[name].split("|")
        needed = re.findall(r"`(\w+)`", f"{values} {secrets}")
        settings = "\n".join(f'{key} = "x"' for key in re.findall(r"`(\w+)`", values))
        hidden = "\n".join(f'{key} = "env:X"' for key in re.findall(r"`(\w+)`", secrets))
        url = 'url = "http://127.0.0.1:1/{id}"\n' if "`url`" in more else ""
        senders = 'senders = ["x"]\n' if "needs `senders`" in more else ""
        tables = f"[providers.x.values]\n{settings}\n[providers.x.secrets]\n{hidden}"
        text = f'[providers.x]\npreset = "{name}"\n{url}{senders}{tables}'
        (provider,) = read_document(text, presets(), Limits())
        assert needed == [*provider.values, *provider.secrets]
        assert ("needs `senders`" in more) == any(slot.is_required for slot in slots_in(provider.request))


def test_the_example_of_the_deployment() -> None:
    assert read_file(ROOT / "deploy/providers/demo.toml", Limits()).names == ["main", "second"]
