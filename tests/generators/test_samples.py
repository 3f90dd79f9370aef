"""Samples as image sets: the same bytes whatever happens, and where they come from."""

import json

import numpy as np
import pytest
import torch
from tests.datasets.making import killed_at, tree_bytes
from tests.generators.test_models import DIFFUSION, UNET, network, save_ddpm

from likeness.datasets import ImageSet, verify
from likeness.errors import InputError, OptionError
from likeness.generators.checkpoints import save_checkpoint
from likeness.generators.ddpm.settings import Sampler, UNetSettings
from likeness.generators.models import open_model
from likeness.generators.samples import classes_of, snapped, write_samples

IMAGES = {
    "fingerprint": "f" * 64, "count": 9, "channels": ["t1", "seg"],
    "annotation_levels": {"seg": [0, 51, 102, 204]},
}  # fmt: skip
SAMPLER = Sampler(steps=4, together=4)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_ddpm(
        tmp_path_factory.mktemp("samples") / "secret-name", step=7, images_seen=70, images=IMAGES
    )


@pytest.fixture(scope="module")
def model(checkpoint):
    return open_model(checkpoint, sampler=SAMPLER)


def test_the_set_holds_the_images_of_the_seed(model, tmp_path):
    made = write_samples(model, tmp_path / "out", num=10, seed=3)
    expected = np.concatenate(list(model.draw(3, 10, batch_size=10)))
    assert np.array_equal(made.read(0, 10), expected)
    assert made.image_ids[9] == "sample-000009"
    assert made.channels == ("t1", "seg")
    assert made.annotation_channels == ("seg",)
    assert set(made.patient_ids) == {None}
    assert verify(tmp_path / "out").ok
    fewer = write_samples(model, tmp_path / "few", num=6, seed=3)
    assert np.array_equal(fewer.read(0, 6), expected[:6])
    other = write_samples(model, tmp_path / "other", num=6, seed=4)
    assert not np.array_equal(other.read(0, 6), expected[:6])


def test_the_record_says_where_they_come_from_and_nothing_of_the_place(model, tmp_path):
    made = write_samples(model, tmp_path / "out", num=3, seed=3)
    found = made.record["provenance"]
    assert found["checkpoint_sha256"] == model.checkpoint_sha256
    assert (found["model"], found["step"], found["images_seen"]) == ("ddpm", 7, 70)
    assert (found["seed"], found["weights"]) == (3, "average")
    assert found["sampler"]["steps"] == 4
    assert found["network"] == UNET.to_json()
    assert found["software"]["torch"] == torch.__version__
    text = (tmp_path / "out/dataset.json").read_text()
    assert "secret-name" not in text
    assert str(tmp_path) not in text


def test_few_deterministic_steps_leave_their_warning(checkpoint, tmp_path):
    model = open_model(checkpoint, sampler=Sampler(kind="ddim", steps=2))
    made = write_samples(model, tmp_path / "out", num=1, seed=0)
    assert "pulls images towards" in made.record["provenance"]["sampler"]["warning"]


def test_a_kill_at_any_moment_costs_no_image_and_changes_no_byte(model, tmp_path, monkeypatch):
    monkeypatch.setattr("likeness.datasets.layout.MAX_SHARD_IMAGES", 4)
    write_samples(model, tmp_path / "whole", num=10, seed=3)
    whole = tree_bytes(tmp_path / "whole")

    def work():
        torch.set_num_threads(1)
        write_samples(model, tmp_path / "out", num=10, seed=3)

    kills = 0
    for step in (2, 9, 20, 33):
        kills += killed_at(step, work)
        if (tmp_path / "out/dataset.json").is_file():
            break
    assert kills >= 2
    write_samples(model, tmp_path / "out", num=10, seed=3)
    assert tree_bytes(tmp_path / "out") == whole


def test_another_sample_in_the_same_folder_is_refused(model, checkpoint, tmp_path):
    write_samples(model, tmp_path / "out", num=3, seed=3)
    before = tree_bytes(tmp_path / "out")
    with pytest.raises(OptionError, match="seed was 3 and is now 4"):
        write_samples(model, tmp_path / "out", num=3, seed=4)
    with pytest.raises(OptionError, match="num was 3 and is now 5"):
        write_samples(model, tmp_path / "out", num=5, seed=3)
    raw = open_model(checkpoint, sampler=SAMPLER, weights="raw")
    with pytest.raises(OptionError, match="weights was 'average'"):
        write_samples(raw, tmp_path / "out", num=3, seed=3)
    assert tree_bytes(tmp_path / "out") == before
    made = write_samples(model, tmp_path / "out", num=5, seed=3, overwrite=True)
    assert len(made) == 5


def test_annotations_snap_to_the_nearest_level(model, tmp_path):
    plain = write_samples(model, tmp_path / "plain", num=5, seed=3).read(0, 5)
    made = write_samples(model, tmp_path / "out", num=5, seed=3, snap_annotation=True)
    images = made.read(0, 5)
    assert np.array_equal(images[:, 0], plain[:, 0])
    for before, after in zip(plain[:, 1].ravel(), images[:, 1].ravel(), strict=True):
        nearest = min([0, 51, 102, 204], key=lambda level: (abs(int(before) - level), level))
        assert after == nearest
    assert made.record["provenance"]["annotation_snapped_to"] == {"seg": [0, 51, 102, 204]}


def test_between_two_levels_the_lower_wins():
    images = np.array([1, 2, 3, 4, 5], np.uint8).reshape(5, 1, 1, 1)
    snapped(images, 0, [6, 0, 4])
    assert images.ravel().tolist() == [0, 0, 4, 4, 4]


def test_a_model_that_knows_no_annotation_cannot_snap(tmp_path):
    model = open_model(save_ddpm(tmp_path / "c"), sampler=SAMPLER)
    with pytest.raises(OptionError, match="nothing to snap"):
        write_samples(model, tmp_path / "out", num=1, seed=0, snap_annotation=True)
    made = write_samples(model, tmp_path / "out", num=1, seed=0)
    assert made.channels == ("c0", "c1")


def test_a_network_that_gives_no_numbers_stops(tmp_path):
    tensors = {f"model/{n}": torch.full_like(t, torch.nan) for n, t in
               network(1).state_dict().items()}  # fmt: skip
    record = {"model": "ddpm", "unet": UNET.to_json(), "diffusion": DIFFUSION.to_json(),
              "imported": {}}  # fmt: skip
    save_checkpoint(tmp_path / "c", tensors, record)
    with pytest.raises(InputError, match="not numbers"):
        write_samples(open_model(tmp_path / "c"), tmp_path / "out", num=2, seed=0)
    assert not (tmp_path / "out/dataset.json").exists()


def test_classes_take_turns_or_one_is_chosen(tmp_path):
    unet = UNetSettings.from_json({**UNET.to_json(), "classes": 2})
    from likeness.generators.ddpm.network import build_unet

    tensors = {f"average/{n}": one for n, one in build_unet(unet, seed=0).named_parameters()}
    record = {"model": "ddpm", "unet": unet.to_json(), "diffusion": DIFFUSION.to_json(),
              "classes": ["normal", "pneumonia"]}  # fmt: skip
    save_checkpoint(tmp_path / "c", tensors, record)
    model = open_model(tmp_path / "c", sampler=SAMPLER)
    write_samples(model, tmp_path / "both", num=6, seed=0)
    both = ImageSet.open(tmp_path / "both")
    assert list(both.classes) == ["normal", "pneumonia"] * 3
    made = write_samples(model, tmp_path / "one", num=3, seed=0, class_name="pneumonia")
    assert list(made.classes) == ["pneumonia"] * 3
    assert json.loads((tmp_path / "one/dataset.json").read_text())["provenance"]["class"]
    with pytest.raises(OptionError, match="only normal, pneumonia"):
        classes_of(model, "cat")


@pytest.mark.parametrize(("num", "seed"), [(0, 0), (3, -1)])
def test_numbers_are_checked(model, tmp_path, num, seed):
    with pytest.raises(OptionError, match="At least 1 image"):
        write_samples(model, tmp_path / "out", num=num, seed=seed)
