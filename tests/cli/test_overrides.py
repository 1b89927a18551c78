"""The command line before Hydra sees it, and all configurations that come with mt."""

import re

import pytest
from hydra import compose, initialize_config_dir

from mt.cli.overrides import (
    check_resume_overrides,
    check_sweep_runs,
    checked_overrides,
    keys_not_swept,
)
from mt.cli.train import CONFIGS, compose_config
from mt.config import Config, ModelConfig, OptimConfig, SearchConfig
from mt.models.seq2seq import build_model

FILES = sorted(str(p.relative_to(CONFIGS).with_suffix("")) for p in CONFIGS.rglob("*/*.yaml"))
LANGUAGES = ["data.src=en", "data.tgt=cs"]


def _compose(overrides: list[str]) -> Config:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose_config(compose("train", checked_overrides(overrides, CONFIGS)))


@pytest.mark.parametrize("file", FILES)
def test_every_file_passes_the_checks(file: str) -> None:
    group, name = file.split("/", 1)
    config = _compose([f"{group}={name}", "run=x", *(LANGUAGES if group == "data" else [])])
    assert config.run == "x"


@pytest.mark.parametrize(
    ("name", "direction", "decoder", "lexical", "width", "epochs"),
    [
        ("multi30k_en_de", "en-de", "conditional", True, 384, 20),
        ("multi30k_en_fr", "en-fr", "conditional", True, 384, 20),
        ("multi30k_de_en", "de-en", "conditional", True, 256, 20),
        ("multi30k_en_de_attention", "en-de", "attention", False, 256, 15),
        ("multi30k_en_de_baseline", "en-de", "fixed_context", True, 256, 20),
        ("multi30k_de_en_baseline", "de-en", "fixed_context", True, 256, 20),
        ("tatoeba_en_de", "en-de", "conditional", True, 256, 6),
        ("tatoeba_de_en", "de-en", "conditional", True, 256, 6),
        ("tatoeba_en_de_baseline", "en-de", "fixed_context", True, 256, 6),
        ("tatoeba_de_en_baseline", "de-en", "fixed_context", True, 256, 6),
    ],
)
def test_an_experiment_is_what_its_name_says(
    name: str, direction: str, decoder: str, lexical: bool, width: int, epochs: int
) -> None:
    config = _compose([f"experiment={name}", "run=x"])
    model, trainer = config.model, config.trainer
    found = (model.decoder.name, model.lexical, model.embedding_size, trainer.max_epochs)
    assert found == (decoder, lexical, width, epochs)
    assert (model.encoder_size, model.decoder_size) == (width, 2 * width)
    assert config.data.direction == direction
    assert config.data.name == name.split("_")[0]
    assert (trainer.ema_decay, trainer.precision.name, trainer.threads) == (0.999, "auto", 1)
    assert (config.tokenizer.kind.name, config.tokenizer.vocab_size) == ("bpe", 8000)
    dropout = (model.embedding_dropout, model.state_dropout, model.output_dropout)
    settings = (*dropout, model.word_dropout, trainer.batch_tokens)
    if config.data.name == "tatoeba":
        assert settings == (0.2, 0.2, 0.2, 0.0, 1500)
    elif decoder in ("attention", "fixed_context"):
        assert settings == (0.3, 0.3, 0.3, 0.1, 1400)
    else:
        assert settings == (0.3, 0.3, 0.4, 0.1, 1000)


@pytest.mark.parametrize(
    ("overrides", "millions"),
    [
        ("experiment=quickstart", "1.21"),
        ("experiment=quickstart model=baseline", "1.15"),
        ("experiment=quickstart model.lexical=true", "1.54"),
        ("experiment=tatoeba_en_de", "8.57"),
        ("experiment=tatoeba_en_de model.lexical=false", "6.46"),
        ("experiment=tatoeba_en_de_baseline", "5.41"),
        ("experiment=multi30k_de_en", "8.57"),
        ("experiment=multi30k_en_de", "16.00"),
        ("experiment=multi30k_en_de_baseline", "5.41"),
        ("experiment=multi30k_en_de_attention", "5.67"),
    ],
)
def test_a_model_has_the_size_that_the_results_give(overrides: str, millions: str) -> None:
    config = _compose([*overrides.split(), "run=x"])
    n_pieces = config.tokenizer.vocab_size
    model = build_model(config.model, src_vocab_size=n_pieces, tgt_vocab_size=n_pieces)
    assert f"{model.n_parameters / 1e6:.2f}" == millions


def test_the_defaults_are_those_of_the_results() -> None:
    search, optim, model = SearchConfig(), OptimConfig(), ModelConfig()
    assert (search.beam_size, search.length_penalty) == (5, 1.0)
    assert (search.max_length_ratio, search.max_length_offset) == (2.0, 10)
    assert (optim.warmup_steps, optim.schedule.name, optim.lr) == (200, "cosine", 1e-3)
    assert (model.embedding_dropout, model.state_dropout, model.output_dropout) == (0.2,) * 3


@pytest.mark.parametrize(
    ("argument", "handed_on"),
    [
        ("data.path={split}.{lang}", "data.path='{split}.{lang}'"),
        ("data.path='{split}.{lang}'", "data.path='{split}.{lang}'"),
        ('data.path="{split}.{lang}"', 'data.path="{split}.{lang}"'),
        ("data.holdout={by: both}", "data.holdout={by: both}"),
        ("data.path=all.txt", "data.path=all.txt"),
        ("data.alignment={split}.links", "data.alignment='{split}.links'"),
        ("data.member={lang}.txt", "data.member='{lang}.txt'"),
        ("run=runs/${seed}", "run=runs/${seed}"),
        ("run=runs/text-model=attention-seed=1", "run='runs/text-model=attention-seed=1'"),
        ("run=runs/a (1)", "run='runs/a (1)'"),
        ("run=it's", r"run='it\'s'"),
        (r"run=a\'b", r"run='a\\\'b'"),
        ("run=it's \\", r"run='it\'s \\'"),
        ("data.root=/home/josé/corpus", "data.root='/home/josé/corpus'"),
        ("data.root=~/corpus", "data.root='~/corpus'"),
        ("data.columns.en=größe", "++data.columns.en='größe'"),
        ("seed=1,2", "seed=1,2"),
        ("data.root=", "data.root="),
        ("data.columns={en: a}", "++data.columns={en: a}"),
        ("+data.columns={en: a}", "+data.columns={en: a}"),
        ("data.columns.en=0", "++data.columns.en='0'"),
        ("++data.columns.en=0", "++data.columns.en='0'"),
        ("data.splits.test=2016_05", "++data.splits.test='2016_05'"),
        ("run=2024_06_01", "run='2024_06_01'"),
        ("run=1.10", "run='1.10'"),
        ("run=true", "run='true'"),
        ("run=1e3,2e3", "run=1e3,2e3"),
        ("data.root=null", "data.root=null"),
        ("data.root='1.10'", "data.root='1.10'"),
        ("optim.lr=1e-3", "optim.lr=1e-3"),
        ("data.splits.valid=dev", "++data.splits.valid=dev"),
        ("experiment=ladder/short", "experiment=ladder/short"),
        ("hydra.verbose=true", "hydra.verbose=true"),
        ("--multirun", "--multirun"),
    ],
)
def test_overrides_are_put_into_the_grammar_of_hydra(argument: str, handed_on: str) -> None:
    assert checked_overrides([argument], CONFIGS) == [handed_on]


@pytest.mark.parametrize(
    "run",
    [
        "runs/a-seed=1",
        "runs/a (1)",
        "it's",
        "josé",
        "~/x",
        "a b, c",
        "2024_06",
        "1.10",
        "true",
        r"a\'b",
        r"it's a\b \\",
    ],
)
def test_a_run_may_have_any_name(run: str) -> None:
    assert _compose([f"run={run}".replace(",", r"\,")]).run == run


def test_what_is_not_swept_is_found() -> None:
    swept = ["seed=1,2", "model=attention,baseline", "optim.lr=choice(1e-3,2e-3)"]
    fixed = ["data.path='{split}.{lang}'", "++data.splits.valid=dev", "run=runs/${seed}"]
    keys = ["data.path", "data.splits.valid", "run"]
    assert keys_not_swept(["--multirun", *swept, *fixed]) == keys
    assert keys_not_swept(["optim.lr=[1"]) == []  # Hydra's to complain of


def test_a_sweep_needs_a_folder_for_each_job() -> None:
    with pytest.raises(
        ValueError, match=r"run=x is one folder .* number them by run='x-\$\{hydra:job\.num\}'"
    ):
        check_sweep_runs(["--multirun", "seed=1,2", "run=x"])
    for fine in ("run=x-${seed}", "run=a,b", "seed=1"):
        check_sweep_runs(["-m", "seed=1,2", fine])
    check_sweep_runs(["--multirun", "seed=1", "run=x"])  # a launcher, and one job
    check_sweep_runs(["seed=1,2", "run=x"])  # Hydra's to complain of


def test_the_readmes_own_corpus_is_read_as_it_says() -> None:
    text = ["data=text", "data.name=mine", "data.src=en", "data.tgt=is", "data.root=corpus"]
    data = _compose([*text, "data.path=all.{lang}", "data.holdout.by=both", "run=x"]).data
    assert (data.path, data.holdout.by, data.root) == ("all.{lang}", "both", "corpus")
    news = ["data.path='news.{split}.{lang}.gz'", "data.splits.valid=dev", "run=x"]
    data = _compose([*text, *news]).data
    assert (data.path, data.splits["valid"]) == ("news.{split}.{lang}.gz", "dev")
    tsv = ["data=tsv", *text[1:], "run=x", "data.columns={en: 0, is: 1}"]
    assert _compose(tsv).data.columns == {"en": "0", "is": "1"}
    assert _compose([*text, "data.splits={test: t}", "run=x"]).data.splits["test"] == "t"
    links = ["data.alignment='{split}.links'", "data.alignment_src=en", "run=x"]
    assert _compose([*text, *links]).data.alignment == "{split}.links"


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("optim.lrr", "did you mean optim.lr?"),
        ("lexical", "did you mean model.lexical?"),
        ("optim.learning_rate", "did you mean optim.lr?"),
        ("batch_size", "did you mean trainer.batch_tokens?"),
        ("qqqq", "sections are run, resume, seed, data, tokenizer, model, optim, trainer, search."),
    ],
)
def test_an_unknown_key_gets_advice(key: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"there is no option '{key}': ") as raised:
        checked_overrides([f"{key}=1"], CONFIGS)
    assert advice in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["model=atention"],
            "there is no model=atention: did you mean attention? expected atte",
        ),
        (["experiment=qqqq"], "there is no experiment=qqqq: expected multi30k_de_en, mult"),
        (["-m", "model=attention,basline"], "there is no model=basline: did you mean baseline?"),
        (["experiment=ladder/wde"], "did you mean ladder/wide?"),
        (["runs/mine"], "'runs/mine' sets nothing: settings are written OPTION=VALUE, and the fo"),
        (["seed=1", "x"], "and the folder of a run is run=x"),
        (["--epochs", "5"], "there is no --epochs: settings have no dashes, trainer.max_epochs=V"),
        (["--max-epochs=5"], "there is no --max-epochs=5: settings have no dashes, trainer.max_e"),
        (["--batch-size=8"], "settings have no dashes, trainer.batch_tokens=VALUE"),
        (["data.splits.test 1=x"], "'test 1' cannot be a name in data.splits on the command line"),
        (
            ["data.columns.中文=0"],
            "'中文' cannot be a name in data.columns on the command line",
        ),
        (["data.splits.test.a=x"], "'test.a' cannot be a name in data.splits on the command line"),
        (["--lr", "1"], "there is no --lr: settings have no dashes, optim.lr=VALUE"),
    ],
)
def test_what_is_no_setting_gets_advice(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        checked_overrides(arguments, CONFIGS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cfg", "job"],
        ["--info=all", "seed=1"],
        ["--run", "seed=1"],
        ["-cd", "mine", "experiment=mine"],
        ["--config-dir=mine", "experiment=mine"],
        ["experiment=null", "~debug"],
        ["experiment='ladder/wide'", "model=glob(*)", "-m"],
    ],
)
def test_hydras_own_options_and_files_elsewhere_are_left_to_it(arguments: list[str]) -> None:
    assert checked_overrides(arguments, CONFIGS) == arguments


def test_a_resumed_run_may_change_how_long_it_goes_on_and_where() -> None:
    kept = [
        "trainer.max_epochs=9", "trainer.max_steps=7", "trainer.patience=2",
        "trainer.processes=1", "trainer.threads=1", "trainer.device=cpu", "data.root=there",
    ]  # fmt: skip
    keys = [override.split("=")[0] for override in kept]
    assert check_resume_overrides(["run=x", "resume=true", *kept]) == keys
    assert check_resume_overrides([f"++{override}" for override in kept]) == keys
    with pytest.raises(
        ValueError, match=r"optim\.lr=1 cannot be combined with resume=true, which takes"
    ):
        check_resume_overrides([*kept, "optim.lr=1"])
