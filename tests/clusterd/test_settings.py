import socket
from pathlib import Path

import pytest

from clusterd.errors import ConfigError
from clusterd.settings import Settings, open_store, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clusterd.toml"


def wrong(flags: dict[str, object], variables: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(flags, variables)
    return [str(problem) for problem in caught.value.problems]


def test_without_any_the_defaults_hold(file: Path) -> None:
    file.touch()
    settings = read({}, {"CLUSTERD_CONFIG": str(file)})
    assert (settings.cluster, settings.endpoints) == ("main", ("http://127.0.0.1:2379",))
    assert settings.router == socket.gethostname().partition(".")[0]
    assert settings.lvs_cf == Path("/var/lib/clusterd/lvs.cf")


def test_the_file_yields_to_variables_and_these_to_the_command_line(file: Path) -> None:
    file.write_text('cluster = "a"\nuser = "a"\nendpoints = ["http://a:1"]\nstate_dir = "/a"\n')
    variables = {"CLUSTERD_CONFIG": str(file), "CLUSTERD_CLUSTER": "b", "CLUSTERD_ENDPOINTS": "http://b:1, http://c:1"}
    settings = read({"cluster": "c", "user": None}, variables)
    assert (settings.cluster, settings.user, settings.endpoints) == ("c", "a", ("http://b:1", "http://c:1"))
    assert settings.lvs_cf == Path("/a/lvs.cf")
    assert read({}, {**variables, "CLUSTERD_LVS_CF": "/etc/lvs.cf"}).lvs_cf == Path("/etc/lvs.cf")


def test_settings_are_frozen(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().cluster = "x"  # type: ignore[misc] # this is what is refused


def test_every_problem_says_where_the_wrong_value_came_from(file: Path) -> None:
    file.write_text('endpoint = "http://a:1"\nuser = 5\nstate_dir = 1\n')
    problems = wrong(
        {"router": "a b"}, {"CLUSTERD_CONFIG": str(file), "CLUSTERD_CLUSTER": "", "CLUSTERD_ENDPOINTS": ","}
    )
    places = {problem.partition(": ")[0] for problem in problems}
    assert places == {"--router", str(file), "CLUSTERD_CLUSTER", "CLUSTERD_ENDPOINTS"}
    assert f"{file}: endpoint: unknown key; did you mean endpoints?" in problems
    assert len(problems) == 6


def test_a_misspelt_variable_is_wrong_and_a_foreign_one_is_not(file: Path) -> None:
    file.touch()
    variables = {"CLUSTERD_CONFIG": str(file), "CLUSTERD_PORT": "tcp://10.0.0.1:80", "CLUSTERD_SERVICE_HOST": "x"}
    assert read({}, variables) == read({}, {"CLUSTERD_CONFIG": str(file)})
    assert wrong({}, {**variables, "CLUSTERD_ENDPIONTS": "x"}) == [
        "CLUSTERD_ENDPIONTS: unknown variable; did you mean CLUSTERD_ENDPOINTS?"
    ]


def test_a_key_like_no_other_is_told_what_there_is(file: Path) -> None:
    file.write_text("zzz = 1\n")
    (problem,) = wrong({}, {"CLUSTERD_CONFIG": str(file)})
    assert "unknown key; known here: cluster, endpoints, " in problem


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    variables = {"CLUSTERD_CONFIG": str(file)}
    assert wrong({}, variables) == [f"CLUSTERD_CONFIG: there is no file {file}"]
    file.write_text("cluster = \n")
    assert "not valid TOML: Invalid value (at line 1" in wrong({}, variables)[0]
    file.write_bytes(b"\xff")
    assert "cannot be read" in wrong({}, variables)[0]
    assert "cannot be read" in wrong({}, {"CLUSTERD_CONFIG": str(file.parent)})[0]


def test_without_a_file_at_the_usual_place_all_is_well(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr("clusterd.settings.FILE", file)
    assert read({}, {}).cluster == "main"


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("secret\n")
    return path


async def test_a_store_is_opened_with_the_password_in_the_file(password_file: Path) -> None:
    store = open_store(Settings(user="me", password_file=password_file))
    await store.close()
    with pytest.raises(ConfigError, match="password_file: cannot read"):
        open_store(Settings(user="me", password_file=password_file.parent))


def test_a_user_and_a_certificate_are_logins_and_a_ca_alone_is_none() -> None:
    assert Settings(user="me").login
    assert Settings(cert=Path("me.pem"), key=Path("me.key")).login
    assert not Settings(cacert=Path("ca.pem")).login
