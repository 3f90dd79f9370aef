"""Checkpoints opened: which weights draw, and what is refused."""

import numpy as np
import pytest
import torch

from likeness.errors import InputError, MissingExtraError, OptionError
from likeness.generators import models
from likeness.generators.checkpoints import save_checkpoint
from likeness.generators.ddpm.network import build_unet
from likeness.generators.ddpm.sampling import sample_images
from likeness.generators.ddpm.settings import Diffusion, Sampler, UNetSettings
from likeness.generators.models import find_checkpoint, open_model
from likeness.generators.stylegan3.generator import Generator
from likeness.generators.stylegan3.plan import NetworkSettings

UNET = UNetSettings(
    resolution=32, channels=2, width=8, blocks=1, multipliers=(1, 1), attention_sides=(), heads=1,
    groups=4,
)  # fmt: skip
DIFFUSION = Diffusion(steps=24)
NETWORK = NetworkSettings(
    16, 2, channel_base=64, channel_max=8, layers=3, critical_layers=1, latent_size=8, style_size=8,
    minibatch_group=2,
)  # fmt: skip


def network(seed):
    """Untrained, its last layer not zero as it would be."""
    made = build_unet(UNET, seed=seed)
    torch.manual_seed(seed)
    for weights in made.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    return made


def save_ddpm(folder, *, average=True, **more):
    record = {"model": "ddpm", "unet": UNET.to_json(), "diffusion": DIFFUSION.to_json(), **more}
    tensors = {f"model/{name}": one for name, one in network(1).state_dict().items()}
    if average:
        tensors |= {f"average/{n}": one for n, one in dict(network(2).named_parameters()).items()}
    save_checkpoint(folder, tensors, record)
    return folder


@pytest.fixture(scope="module")
def ddpm(tmp_path_factory):
    return save_ddpm(tmp_path_factory.mktemp("ddpm") / "checkpoint", step=7)


@pytest.mark.parametrize(("weights", "seed"), [("average", 2), ("raw", 1)])
def test_the_weights_that_were_asked_for_draw(ddpm, weights, seed):
    model = open_model(ddpm, weights=weights)
    drawn = np.concatenate(list(model.draw(5, 3)))
    expected = sample_images(network(seed), UNET, DIFFUSION, Sampler(steps=24), seed=5, count=3)
    assert np.array_equal(drawn, np.concatenate(list(expected)))
    assert (model.kind, model.weights, model.image_shape) == ("ddpm", weights, (2, 32, 32))
    assert model.sampler_record["steps"] == 24
    assert len(np.unique(drawn)) > 20


def test_an_imported_network_has_one_kind_of_weights(tmp_path):
    folder = save_ddpm(tmp_path / "imported", average=False, imported={"file": "x.pt"})
    assert open_model(folder).weights == "raw"
    with pytest.raises(InputError):
        open_model(tmp_path / "nowhere")


def test_a_generator_draws_by_its_mean(tmp_path):
    torch.manual_seed(3)
    raw, mean = Generator(NETWORK), Generator(NETWORK)
    tensors = {f"generator/{name}": one for name, one in raw.state_dict().items()}
    tensors |= {f"average/{name}": one for name, one in mean.state_dict().items()}
    save_checkpoint(tmp_path / "c", tensors, {"model": "stylegan3", "network": NETWORK.to_json()})
    pictures = {}
    for weights in ("average", "raw"):
        model = open_model(tmp_path / "c", weights=weights)
        pictures[weights] = np.concatenate(list(model.draw(0, 5, batch_size=2)))
        again = np.concatenate(list(model.draw(0, 2, first=3)))
        assert np.array_equal(pictures[weights][3:], again)
    assert not np.array_equal(pictures["average"], pictures["raw"])
    assert "hidden" in open_model(tmp_path / "c", truncation=0.5).sampler_record["warning"]
    with pytest.raises(OptionError, match="Samplers are for diffusion"):
        open_model(tmp_path / "c", sampler=Sampler(steps=4))
    with pytest.raises(OptionError, match="truncation"):
        open_model(tmp_path / "c", truncation=1.5)


def test_a_run_stands_for_its_newest_checkpoint(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="no checkpoint yet"):
        find_checkpoint(tmp_path)
    for step in (2, 10):
        save_ddpm(tmp_path / f"checkpoints/step-{step:09d}", step=step)
    assert find_checkpoint(tmp_path).name == "step-000000010"
    assert open_model(tmp_path).record["step"] == 10
    one = tmp_path / "checkpoints/step-000000002"
    assert find_checkpoint(one / "checkpoint.json") == one


def test_what_does_not_fit_is_refused(ddpm, tmp_path):
    with pytest.raises(OptionError, match="Truncation is for StyleGAN3"):
        open_model(ddpm, truncation=0.7)
    with pytest.raises(OptionError, match="only 24"):
        open_model(ddpm, sampler=Sampler(steps=25))
    with pytest.raises(OptionError, match="'average' or 'raw'"):
        open_model(ddpm, weights="mean")
    save_checkpoint(tmp_path / "other", {"a": torch.zeros(1)}, {"model": "flow"})
    with pytest.raises(InputError, match="'flow'"):
        open_model(tmp_path / "other")


def test_without_the_extra_it_is_named(ddpm, monkeypatch):
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"likeness\[generate\]"):
        open_model(ddpm)
