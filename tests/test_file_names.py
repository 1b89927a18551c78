"""Names of files that say which runs they come from."""

from mt.file_names import joined_names


def test_names_are_joined() -> None:
    assert joined_names(["seed1", "seed2"], "+") == "seed1+seed2"


def test_many_long_names_fit_into_a_file_name_and_stay_apart() -> None:
    runs = [f"phrasebook-en-de-attention-model=attention-seed={seed}" for seed in range(1, 8)]
    names = {joined_names(some, "_") for some in (runs[:6], runs[1:], runs[::-1])}
    assert len(names) == 3
    assert all(name.startswith(("6-runs-", "7-runs-")) and len(name) < 30 for name in names)
