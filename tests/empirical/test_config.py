import re

import pytest

from empirical.config import TrainConfig, config_from, load_config
from empirical.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_configuration_and_its_table_gives_it_again(name):
    config = load_config(name)
    assert config_from(config.as_dict()) == config
    assert config != TrainConfig()


def test_openai_sizes():
    config = load_config("vit-b16")
    assert (config.batch, config.optimiser.rate, config.optimiser.decay) == (32_768, 5e-4, 0.2)
    assert (config.optimiser.betas, config.optimiser.epsilon) == ((0.9, 0.98), 1e-6)
    assert (config.model.patch, config.model.image_width, config.model.text_width, config.model.length) == (
        16,
        768,
        512,
        77,
    )


def test_a_file_may_begin_with_a_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('preset = "digits"\nsteps = 30\n[loss]\nkind = "siglip"\n[data.options]\nsize = 24\n')
    config = load_config(file, ["loss.bias=-5", "optimiser.warmup=3", "temperature.law=fixed"])
    assert (config.steps, config.loss.kind, config.loss.bias, config.temperature.law) == (30, "siglip", -5.0, "fixed")
    assert config.data.options == {"size": 24}
    assert config.model == load_config("digits").model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stepz=3", "nearest is 'steps'"),
        ("optimiser.ratte=3", "optimiser.*nearest is 'rate'"),
        ("loss.kind=clipp", "nearest is 'clip'"),
        ("steps=0", "`steps` must be at least 1, got 0"),
        ("steps=1.5", "`steps` must be of type int"),
        ("steps=true", "`steps` must be of type int"),
        ("tensorboard=1", "`tensorboard` must be of type bool"),
        ("optimiser.rate=nan", "`rate` must be above 0"),
        ("optimiser.rate=inf", "`rate` must be above 0"),
        ("optimiser.betas=[0.9, 1.0]", "`betas` must be at least 0.0 and at most"),
        ("optimiser.betas=[0.9]", "`optimiser.betas` must be 2 numbers"),
        ("optimiser.floor=1.0", "`floor` must be at most `rate`"),
        ("optimiser.warmup=301", "`optimiser.warmup` must be at most `steps`, 300, got 301"),
        ("threads=-1", "`threads` must be at least 0, got -1"),
        ("model.image_heads=3", "multiple of `image_heads`"),
        ("model.dim=0", "`dim` must be at least 1"),
        ("model.kind=checkpoint", "`checkpoint` must name"),
        ("model={kind='checkpoint', checkpoint='openai/clip'}", "`tokens` must name the tokenizer of 'openai/clip'"),
        ("model={kind='resnet', gradient_checkpointing=true}", "`gradient_checkpointing` must be false"),
        ("data=3", "`data` must be a table"),
        ("data.options=3", "`data.options` must be a table"),
        ("loss.swap_fraction=1.1", "at most 1"),
        ("steps", "a key and a value"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        load_config("digits", [change])


@pytest.mark.parametrize("steps", [5, 19])
def test_a_run_that_is_shorter_than_its_warmup_says_what_to_set(steps):
    with pytest.raises(ValueError, match=r"`optimiser\.warmup` must be at most `steps`") as refused:
        load_config("digits", [f"steps={steps}"])
    (mended,) = re.findall(r"--set (\S+=\d+)", str(refused.value))
    assert load_config("digits", [f"steps={steps}", mended]).optimiser.warmup == steps // 10


def test_a_preset_that_is_not_there_names_the_nearest():
    with pytest.raises(ValueError, match="nearest is 'digits'"):
        load_config("digit")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_config(tmp_path / "none.toml")
    file = tmp_path / "broken.toml"
    for content in (b"steps = ", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="is not TOML"):
            load_config(file)


def test_options_go_with_their_kind_of_data(tmp_path):
    kept = load_config("digits", ["data.held_out=9", "data.kind=digits"])
    assert (kept.data.options, kept.data.held_out) == ({"size": 16}, 9)
    other = load_config("digits", ["data.options.n=50", "data.held_out=9", "data.kind=scenes"])
    assert (other.data.options, other.data.held_out) == ({"n": 50}, 9)
    file = tmp_path / "mine.toml"
    file.write_text('preset = "liang"\n[data]\nkind = "digits"\n')
    assert load_config(file).data.options == {}
    assert load_config(file, ["data.kind=digits", "data.options={size=24}"]).data.options == {"size": 24}


def test_a_file_with_the_name_of_a_preset_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").write_text("steps = 1")
    (tmp_path / "mine").write_text("steps = 1")
    assert load_config("digits").steps == 300
    assert load_config("mine").steps == 1
