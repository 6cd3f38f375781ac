from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.errors import ConfigError
from tests.clusterd.fuzz.__main__ import main
from tests.clusterd.fuzz.mutation import mutated
from tests.clusterd.fuzz.targets import TARGETS, run, samples


@pytest.mark.parametrize("target", TARGETS)
def test_every_sample_is_read(target: str) -> None:
    if target != "keepalived":
        assert all(run(target, text) for text in samples(target))
    else:
        assert sum(run(target, text) for text in samples(target)) >= 3


@pytest.mark.parametrize("target", TARGETS)
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_a_changed_sample_is_read_or_refused(target: str, random: Random) -> None:
    run(target, mutated(random, samples(target)))


@pytest.mark.parametrize("target", TARGETS)
@given(text=st.binary() | st.text().map(str.encode))
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(target: str, text: bytes) -> None:
    run(target, text)


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "document"])
@given(text=st.text())
@settings(max_examples=100)
def test_any_text_is_read_or_refused(target: str, text: str) -> None:
    with suppress(ConfigError):
        TARGETS[target](text.encode("utf-8", "surrogatepass"))


def test_a_run_of_the_driver_tells_its_seed_and_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(0.2, 1) == 0
    out = capsys.readouterr().out
    assert "seed 1, 0.2 s" in out
    assert "fuzz: ipvsadm: " in out


def test_what_breaks_a_reader_is_saved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_text: bytes) -> None:
        raise KeyError("x")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TARGETS, "document", broken)
    assert main(5, 1) == 1
    assert "fuzz: document broke (seed 1, run 0); the text is in fuzz-document-" in capsys.readouterr().err
    assert len(list(tmp_path.glob("fuzz-document-*.txt"))) == 1
