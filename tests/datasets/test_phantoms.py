"""Phantoms are reproducible, go through the real readers, and are as hard as real images."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from likeness.datasets import BratsOptions, ChestXrayOptions, prepare_brats, prepare_chest_xray
from likeness.datasets.phantoms import (
    BRAIN_SEQUENCES,
    PLANTED_KINDS,
    add_noise,
    blur,
    brain_patient,
    brain_slices,
    change_contrast,
    chest_image,
    chest_patient,
    mirror,
    plant,
    rotate_quarters,
    shift,
    slice_positions,
    write_brats,
    write_chest,
)
from likeness.datasets.phantoms.anatomy import cut, make_anatomy
from likeness.errors import OptionError

REAL = Path(__file__).parents[3] / "shared" / "data"
needs_lgg = pytest.mark.skipif(not (REAL / "lgg").is_dir(), reason="needs ../shared/data/lgg")
needs_cxr = pytest.mark.skipif(not (REAL / "cxr").is_dir(), reason="needs ../shared/data/cxr")

LGG_DETAIL = 0.1881
"""Mean `fine_detail` of t1, flair, t1ce in the 622 slices of ../shared/data/lgg (TCGA-LGG) whose
FLAIR exceeds 50 in at least 15 % of the pixels; constant channels left out."""
CXR_DETAIL = 0.0517
"""Mean `fine_detail` of every 13th image of ../shared/data/cxr (Kermany et al. 2018), by name,
resized to 256 x 256 bilinearly."""
TEXTURE_SEED = 2


def fine_detail(picture):
    """Share of a channel's energy around its mean that is lost in means over 8 x 8 blocks."""
    picture = picture.astype(np.float64)
    blocks = picture.reshape(32, 8, 32, 8)
    rest = blocks - blocks.mean(axis=(1, 3), keepdims=True)
    return (rest**2).sum() / ((picture - picture.mean()) ** 2).sum()


def mean_detail(images):
    return np.mean([fine_detail(channel) for image in images for channel in image])


def standardised(images):
    """Rows whose inner products are the correlations over all pixels and channels."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def is_kept(image):
    """The paper's rule: 15 % of the 240 x 240 pixels above 50, here of the channels' mean."""
    return (image.mean(axis=0) > 50).sum() >= 0.15 * 240 * 240


def nearest_of_others(queries, query_patients, references, reference_patients):
    best = np.full(len(queries), -1.0)
    left = standardised(queries)
    for start in range(0, len(references), 100):
        part = slice(start, start + 100)
        found = left @ standardised(references[part]).T
        found[query_patients[:, None] == reference_patients[None, part]] = -1.0
        best = np.maximum(best, found.max(axis=1))
    return best


@pytest.fixture(scope="module")
def crowd():
    """Ten kept slices of each of 200 patients: images and patient numbers."""
    images, patients = [], []
    rng = np.random.default_rng(0)
    for patient in range(200):
        positions = np.sort(rng.choice(np.arange(40, 115), 10, replace=False))
        kept = [image for image in brain_slices(TEXTURE_SEED, patient, positions) if is_kept(image)]
        images += kept
        patients += [patient] * len(kept)
    return np.stack(images), np.array(patients)


@pytest.fixture(scope="module")
def radiographs():
    """One radiograph of each of 300 patients at 256 x 256, through their own mixed sizes."""
    pictures = [Image.fromarray(chest_image(TEXTURE_SEED, patient)) for patient in range(300)]
    resized = [np.asarray(p.resize((256, 256), Image.Resampling.BILINEAR)) for p in pictures]
    return np.stack(resized)[:, None]


# --- reproducible


def test_a_brain_does_not_depend_on_the_others_made_before_it():
    alone = brain_slices(3, 7, [60, 90.5])
    for patient in range(6):
        brain_slices(3, patient, [50])
    assert np.array_equal(brain_slices(3, 7, [60, 90.5]), alone)
    assert np.array_equal(brain_slices(3, 7, [90.5]), alone[1:])
    assert not np.array_equal(brain_slices(3, 8, [60, 90.5]), alone)
    assert not np.array_equal(brain_slices(4, 7, [60, 90.5]), alone)


def test_channels_do_not_depend_on_the_other_channels():
    whole = brain_slices(3, 7, [70], sequences=("t1", "t2", "flair", "t1ce", "seg"))
    for channel, name in enumerate(("t1", "t2", "flair", "t1ce", "seg")):
        assert np.array_equal(brain_slices(3, 7, [70], sequences=(name,))[:, 0], whole[:, channel])


def test_a_radiograph_does_not_depend_on_the_others_made_before_it():
    alone = chest_image(3, 7, 1)
    chest_image(3, 6)
    assert np.array_equal(chest_image(3, 7, 1), alone)
    assert not np.array_equal(chest_image(3, 7, 2, size=alone.shape), alone)
    assert not np.array_equal(chest_image(3, 8, 1, size=alone.shape), alone)


def test_written_phantoms_are_equal_bytes_whatever_the_order(tmp_path):
    write_brats(tmp_path / "a", seed=1, patients=[0, 2], size=48, num_slices=4)
    write_brats(tmp_path / "b", seed=1, patients=[2, 0], size=48, num_slices=4)
    write_chest(tmp_path / "a", seed=1, patients=3)
    write_chest(tmp_path / "b", seed=1, patients=[2, 1, 0])
    first = {p.relative_to(tmp_path / "a"): p.read_bytes() for p in (tmp_path / "a").rglob("*.*g*")}
    for name, content in first.items():
        assert (tmp_path / "b" / name).read_bytes() == content
    assert len(first) >= 2 * 5 + 3


# --- slices, volumes and files are the same pictures


def test_slices_are_those_of_the_volume():
    brain = brain_patient(5, 1, num_slices=5)
    sequences = (*BRAIN_SEQUENCES, "seg")
    slices = brain_slices(5, 1, slice_positions(5), sequences=sequences)
    for k, image in enumerate(slices):
        inner = image[:, 8:248, 8:248]
        assert image.sum() == inner.sum()
        for channel, name in enumerate(BRAIN_SEQUENCES):
            scaled = brain.volumes[name][:, :, k].T / brain.gains[name]
            assert np.abs(scaled - inner[channel]).max() <= 1.0
        assert np.array_equal(brain.seg[:, :, k].T * 51, inner[4])


def test_whole_positions_are_the_native_slices():
    assert slice_positions(155) == pytest.approx(list(range(155)))


def test_prepared_volumes_are_the_slices_made_directly(tmp_path):
    write_brats(tmp_path / "raw", seed=5, patients=3, num_slices=12)
    options = BratsOptions(channels=BRAIN_SEQUENCES)
    images = prepare_brats(tmp_path / "raw", tmp_path / "set", options=options).image_set
    assert images.image_shape == (4, 256, 256)
    assert sorted(images.patient_names) == [f"BraTS20_Training_{n:03d}" for n in (1, 2, 3)]
    positions = slice_positions(12)
    for row in range(len(images)):
        patient = int(images.patient_ids[row][-3:]) - 1
        direct = brain_slices(5, patient, [positions[images.slice_indices[row]]])
        pair = np.stack([images.read(row, row + 1)[0], direct[0]])
        left, right = standardised(pair)
        assert left @ right > 0.99  # channels are scaled by their own quantile there
        for prepared, made in zip(*pair, strict=True):
            assert np.corrcoef(prepared.ravel(), made.ravel())[0, 1] > 0.998


def test_files_have_the_layout_of_brats(tmp_path):
    folders = write_brats(tmp_path, seed=1, patients=[4], size=60, num_slices=6)
    name = "BraTS20_Training_005"
    assert folders == [tmp_path / name]
    files = {path.name for path in folders[0].iterdir()}
    assert files == {f"{name}_{s}.nii.gz" for s in (*BRAIN_SEQUENCES, "seg")}
    flair = nibabel.load(folders[0] / f"{name}_flair.nii.gz")
    assert flair.shape == (60, 60, 6)
    assert flair.get_data_dtype() == np.int16
    assert nibabel.aff2axcodes(flair.affine) == ("L", "P", "S")
    assert flair.header.get_zooms() == pytest.approx((4.0, 4.0, 155 / 6))
    seg = np.asarray(nibabel.load(folders[0] / f"{name}_seg.nii.gz").dataobj)
    assert seg.dtype == np.uint8
    assert set(np.unique(seg)) <= {0, 1, 2, 4}


def test_radiographs_have_the_layout_of_the_real_set(tmp_path):
    written = write_chest(tmp_path / "raw", seed=1, patients=24)
    sizes, modes = set(), set()
    for path in written:
        with Image.open(path) as image:
            sizes.add(image.size)
            modes.add(image.mode)
    assert modes == {"L", "RGB"}
    assert (224, 224) in sizes
    assert len(sizes) > 2
    options = ChestXrayOptions()
    images = prepare_chest_xray(tmp_path / "raw", tmp_path / "set", options=options).image_set
    assert len(images) == len(written)
    assert images.num_patients == 24
    expected = sum(chest_patient(1, patient).num_views for patient in range(24))
    assert len(written) == expected > 24
    groups = {chest_patient(1, patient).group for patient in range(24)}
    assert groups == {path.parent.name for path in written} == {"NORMAL", "PNEUMONIA"}


def test_numbering_starts_at_one_and_two_causes_are_two_children(tmp_path):
    names = {path.name for path in write_chest(tmp_path, seed=1, patients=12)}
    for patient in range(12):
        about = chest_patient(1, patient)
        normal = f"IM-{patient + 1:04d}-0001.jpeg"
        assert (normal in names) == (about.group == "NORMAL")
        if about.group == "PNEUMONIA":
            assert f"person{patient + 1}_{about.cause}_1.jpeg" in names


# --- anatomy


def test_a_tumour_has_its_parts_and_contrasts():
    """Oedema is bright in FLAIR, the rim in T1ce; without a tumour there is no label."""
    images = np.concatenate(
        [
            brain_slices(6, patient, range(45, 130, 6), sequences=("flair", "t1ce", "seg"))
            for patient in range(8)
        ]
    )
    flair, t1ce, seg = images.transpose(1, 0, 2, 3)
    assert set(np.unique(seg)) == {0, 51, 102, 204}
    tissue = (seg == 0) & (flair > 60)
    assert flair[seg == 102].mean() > flair[tissue].mean() + 50
    assert t1ce[seg == 204].mean() > t1ce[tissue].mean() + 60
    assert t1ce[seg == 51].mean() < t1ce[seg == 204].mean() - 60
    healthy = brain_slices(6, 0, range(45, 130, 6), sequences=("seg",), tumour=False)
    assert not healthy.any()


def test_intensities_differ_from_patient_to_patient():
    gains = [brain_patient(1, p, size=8, num_slices=1).gains["t1"] for p in range(20)]
    assert max(gains) > 3 * min(gains)


def test_small_pictures_show_the_same_patient():
    large = brain_slices(1, 0, [75])[0].reshape(4, 64, 4, 64, 4).mean(axis=(2, 4))
    small = brain_slices(1, 0, [75], image_size=64)[0]
    assert np.corrcoef(large.ravel(), small.ravel())[0, 1] > 0.9


def test_no_brain_is_cut_off_at_the_sides():
    """What is drawn of a patient holds all that the anatomy has in the whole field of view."""
    x, y = (-83.5, 1.0, 168), (-105.5, 1.0, 212)
    across, down = (np.abs(first + np.arange(number)) for first, _, number in (x, y))
    for patient in range(40):
        anatomy = make_anatomy(np.random.default_rng([7, patient, 1]), tumour=True)
        for z in (-50.0, -25.0, 0.0, 30.0):
            tissue = cut(anatomy, x, y, z, np.zeros((2, 212, 168), np.float32))
            assert not tissue.head[:, across > anatomy.half_width[0] - 1].any()
            assert not tissue.head[down > anatomy.half_width[1] - 1].any()


def test_sixty_to_ninety_of_155_slices_are_kept():
    for patient in range(6):
        kept = [is_kept(image) for image in brain_slices(1, patient, range(0, 155, 3))]
        assert 60 <= 3 * sum(kept) <= 90


# --- as hard as real images


def test_neighbouring_slices_are_nearly_equal():
    """Slices 1 mm apart: the 5th percentile of the correlation is above 0.95."""
    correlations = []
    for patient in range(12):
        for position in range(34 + patient % 4, 124, 6):
            pair = brain_slices(TEXTURE_SEED, patient, [position, position + 1])
            if all(is_kept(image) for image in pair):
                left, right = standardised(pair)
                correlations.append(left @ right)
    assert len(correlations) > 120
    assert np.quantile(correlations, 0.05) > 0.95
    assert np.median(correlations) > 0.97


def test_the_nearest_brain_of_another_patient_is_close_but_no_copy(crowd):
    images, patients = crowd
    queries = patients % 10 == 0
    best = nearest_of_others(images[queries], patients[queries], images, patients)
    assert len(best) > 150
    assert 0.75 < np.median(best) < 0.92
    assert (best > 0.97).mean() <= 0.01


def test_the_blocked_correlation_is_the_plain_one(crowd):
    images, _ = crowd
    left = standardised(images[:4])
    plain = np.corrcoef(images[:4].reshape(4, -1).astype(np.float64))
    assert left @ left.T == pytest.approx(plain, abs=1e-5)


def test_brains_have_the_fine_detail_of_real_ones(crowd):
    images, _ = crowd
    assert mean_detail(images[::4]) >= LGG_DETAIL


def test_the_nearest_radiograph_of_another_patient_is_as_close_as_in_the_real_set(radiographs):
    patients = np.arange(len(radiographs))
    best = nearest_of_others(radiographs, patients, radiographs, patients)
    assert 0.80 < np.median(best) < 0.92
    assert (best > 0.97).mean() <= 0.01


def test_radiographs_have_the_fine_detail_of_real_ones(radiographs):
    assert mean_detail(radiographs) >= CXR_DETAIL


@pytest.mark.real
@needs_lgg
def test_detail_of_real_brains():
    details, slices = [], 0
    for folder in sorted((REAL / "lgg").iterdir()):
        t1, flair, t1ce = (
            np.asarray(nibabel.load(folder / f"{folder.name}_{name}.nii.gz").dataobj)
            for name in ("t1", "flair", "t1ce")
        )
        for k in range(flair.shape[2]):
            if (flair[:, :, k] > 50).mean() >= 0.15:
                slices += 1
                pictures = [volume[:, :, k] for volume in (t1, flair, t1ce)]
                details += [fine_detail(p) for p in pictures if np.ptp(p) > 0]
    assert slices == 622
    assert np.mean(details) == pytest.approx(LGG_DETAIL, abs=2e-4)


@pytest.mark.real
@needs_cxr
def test_detail_of_real_radiographs():
    details = []
    for path in sorted((REAL / "cxr").glob("*/*.jpeg"))[::13]:
        with Image.open(path) as image:
            grey = image.convert("L").resize((256, 256), Image.Resampling.BILINEAR)
        details.append(fine_detail(np.asarray(grey)))
    assert np.mean(details) == pytest.approx(CXR_DETAIL, abs=2e-4)


# --- planted copies


@pytest.fixture(scope="module")
def picture():
    return brain_slices(1, 0, [80])[0]


@pytest.mark.parametrize("kind", PLANTED_KINDS)
def test_planting_is_reproducible_and_leaves_the_original(picture, kind):
    before = picture.copy()
    copy = plant(picture, kind, seed=4)
    assert copy.dtype == np.uint8
    assert copy.shape == picture.shape
    assert not np.shares_memory(copy, picture)
    assert np.array_equal(picture, before)
    assert np.array_equal(copy, plant(picture, kind, seed=4))
    assert np.array_equal(copy, picture) == (kind == "exact")


def test_planted_noise_has_the_stated_size():
    flat = np.full((2, 256, 256), 128, np.uint8)
    flat[0, :, ::2], flat[0, :, 1::2] = 100, 156
    flat[1, :, ::2], flat[1, :, 1::2] = 118, 138
    noise = add_noise(flat, 0.5, seed=1).astype(float) - flat
    assert noise[0].std() == pytest.approx(14.0, rel=0.02)
    assert noise[1].std() == pytest.approx(5.0, rel=0.02)


def test_brightened_copies_correlate_channel_by_channel(picture):
    copy = plant(picture, "brightened", seed=2)
    for before, after in zip(picture, copy, strict=True):
        assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9999
    assert np.array_equal(change_contrast(picture, 0.5, 3.0), np.rint(picture * 0.5 + 3))


def test_rotated_copies_are_one_of_three_turns(picture):
    turns = [np.rot90(picture, quarters, axes=(1, 2)) for quarters in (1, 2, 3)]
    seen = set()
    for seed in range(12):
        copy = plant(picture, "rotated", seed=seed)
        matching = [number for number, turn in enumerate(turns) if np.array_equal(copy, turn)]
        assert len(matching) == 1
        seen.update(matching)
    assert seen == {0, 1, 2}


def test_mirroring_exchanges_left_and_right(picture):
    assert np.array_equal(mirror(picture)[:, 17, 3], picture[:, 17, 252])
    assert np.array_equal(plant(picture, "mirrored", seed=0), mirror(picture))


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (5, -3), (-7, 2), (300, 0), (0, -256)])
def test_shifting_moves_every_pixel(rows, columns):
    image = np.random.default_rng(0).integers(1, 255, (2, 16, 12), dtype=np.uint8)
    moved = shift(image, rows, columns)
    for row in range(16):
        for column in range(12):
            inside = 0 <= row - rows < 16 and 0 <= column - columns < 12
            expected = image[:, row - rows, column - columns] if inside else 0
            assert np.array_equal(moved[:, row, column], np.broadcast_to(expected, 2))


def test_blurring_spreads_a_point_by_the_stated_width():
    image = np.zeros((1, 41, 41), np.uint8)
    image[0, 18:23, 18:23] = 255
    profile = blur(image, 3.0)[0].sum(axis=0).astype(float)
    distance = np.arange(41) - 20
    variance = (profile * distance**2).sum() / profile.sum()
    assert variance == pytest.approx(9.0 + 2.0, rel=0.05)  # a box of 5 has a variance of 2
    assert np.array_equal(blur(np.full((1, 9, 9), 7, np.uint8), 2.0), np.full((1, 9, 9), 7))


# --- what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: brain_slices(-1, 0, [70]), "seed -1"),
        (lambda: brain_slices(0, -2, [70]), "patient -2"),
        (lambda: brain_slices(0, 0, [155]), "from 0 to 154"),
        (lambda: brain_slices(0, 0, [70], sequences=("t3",)), "t3"),
        (lambda: brain_slices(0, 0, [70], sequences=("t1", "t1")), "different"),
        (lambda: brain_slices(0, 0, [70], image_size=0), "image_size is 0"),
        (lambda: brain_patient(0, 0, num_slices=0), "num_slices is 0"),
        (lambda: brain_patient(0, 0, sequences=("seg",)), "seg"),
        (lambda: chest_image(0, 0, -1), "view -1"),
        (lambda: chest_image(0, 0, size=(0, 5)), "size is"),
        (lambda: write_chest(Path(), seed=0, patients=[1, 1]), "differ"),
        (lambda: plant(np.zeros((1, 4, 4), np.uint8), "melted", seed=0), "melted"),
        (lambda: rotate_quarters(np.zeros((1, 4, 5), np.uint8), 1), "4 x 5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "call",
)
def test_wrong_settings_are_named(call, message):
    with pytest.raises(OptionError, match=message):
        call()
