"""Names of files that say which runs they come from."""

from mt.file_names import as_file_name, joined_names


def test_the_name_of_a_split_can_be_a_file() -> None:
    names = ["test_2016-a.b+c", "Prüfung", "news/one (2016)", "../x"]
    assert [as_file_name(name) for name in names] == [*names[:2], "news-one-2016-", "..-x"]


def test_names_are_joined() -> None:
    assert joined_names(["seed1", "seed2"], "+") == "seed1+seed2"


def test_many_long_names_fit_into_a_file_name_and_stay_apart() -> None:
    runs = [f"phrasebook-en-de-attention-model=attention-seed={seed}" for seed in range(1, 8)]
    names = {joined_names(some, "_") for some in (runs[:6], runs[1:], runs[::-1])}
    assert len(names) == 3
    assert all(name.startswith(("6-runs-", "7-runs-")) and len(name) < 30 for name in names)
