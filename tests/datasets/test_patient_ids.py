import pytest

from likeness.datasets.patient_ids import assign_patients, parse_patient_rule
from likeness.errors import ManifestError, OptionError


@pytest.mark.parametrize(
    ("rule", "path", "patient"),
    [
        ("bids", "sub-01/anat/sub-01_T1w.nii.gz", "01"),
        ("bids", "derivatives/sub-A7_desc-x_T1w.nii.gz", "A7"),
        ("bids", "mysub-01/x.png", None),
        ("brats", "BraTS20_Training_001/BraTS20_Training_001_t1.nii.gz", "BraTS20_Training_001"),
        ("brats", "BraTS2021_00000_flair.nii.gz", "BraTS2021_00000"),
        ("brats", "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz", "BraTS-GLI-00000"),
        ("brats", "BraTS-GLI-00000-001/BraTS-GLI-00000-001-t1n.nii.gz", "BraTS-GLI-00000"),
        ("brats", "other.nii.gz", None),
        ("cxr", "PNEUMONIA/person23_bacteria_99.jpeg", "person23_bacteria"),
        ("cxr", "PNEUMONIA/person23_virus_99.jpeg", "person23_virus"),
        ("cxr", "NORMAL/IM-0115-0001.jpeg", "IM-0115"),
        ("cxr", "NORMAL/NORMAL2-IM-0115-0001.jpeg", "NORMAL2-IM-0115"),
        ("cxr", "NORMAL/photo.jpeg", None),
        ("parent-folder", "a/P7/x.png", "P7"),
        ("parent-folder", "x.png", None),
        ("regex:(P[0-9]+)_", "a/P12_3.png", "P12"),
        ("regex:x(?P<other>.)(?P<patient>[0-9])", "xa7", "7"),
        ("regex:(a)|b", "b", None),
        ("none", "P7/x.png", None),
    ],
)
def test_rules(rule, path, patient):
    assert parse_patient_rule(rule).patient_of(path) == patient


@pytest.mark.parametrize("text", ["", "nope", "regex:", "column:", "Bids", "regex"])
def test_unknown_rules_name_the_known_ones(text):
    with pytest.raises(OptionError, match=r"parent-folder.*regex:.*column:"):
        parse_patient_rule(text)


def test_bad_expressions_are_refused():
    with pytest.raises(OptionError, match="round brackets"):
        parse_patient_rule(r"regex:P\d+")
    with pytest.raises(OptionError, match="no regular expression"):
        parse_patient_rule("regex:(P")
    with pytest.raises(OptionError, match="--manifest"):
        parse_patient_rule("column:patient")


@pytest.mark.parametrize(
    ("paths", "rule"),
    [
        (["sub-1/a.png", "sub-2/a.png"], "bids"),
        (["BraTS2021_00001/x_t1.nii", "BraTS2021_00002/x_t1.nii"], "brats"),
        (["NORMAL/IM-0001-0001.jpeg", "PNEUMONIA/person1_virus_2.jpeg"], "cxr"),
        (["P7/P7_t1.nii", "P8/P8_t1.nii"], "parent-folder"),
        (["NORMAL/NORMAL-1.png", "COVID/COVID-2.png"], "none"),
        (["NORMAL/a.png", "COVID/b.png"], "none"),
        (["a.png"], "none"),
    ],
)
def test_auto_takes_what_covers_the_files(paths, rule):
    assert assign_patients(parse_patient_rule("auto"), paths).rule.text == rule


def test_auto_needs_95_percent():
    paths = [f"sub-{n}/a.png" for n in range(95)] + [f"x{n}.png" for n in range(5)]
    found = assign_patients(parse_patient_rule("auto"), paths)
    assert (found.rule.text, found.coverage, found.num_patients) == ("bids", 0.95, 95)
    assert found.examples == (("sub-0/a.png", "0"), ("sub-1/a.png", "1"), ("sub-2/a.png", "2"))
    found = assign_patients(parse_patient_rule("auto"), [*paths, "one_more.png"])
    assert found.rule.text == "none"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_gives_patients_by_path_and_by_name(tmp_path, delimiter):
    table = tmp_path / "m.csv"
    lines = [["path", "person"], ["a/x.png", "P1"], ["y.png", "P2"], ["z.png", ""]]
    table.write_text("\ufeff" + "\n".join(delimiter.join(line) for line in lines))
    rule = parse_patient_rule("column:person", manifest=table)
    assert rule.patient_of("a/x.png") == "P1"
    assert rule.patient_of("b/y.png") == "P2"
    assert rule.patient_of("z.png") is None
    assert rule.patient_of("x.png") is None


def test_bad_tables_are_refused(tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("path,person\na,P1\na,P2\n")
    with pytest.raises(ManifestError, match=r"names 'a' twice.*'P1' and 'P2'"):
        parse_patient_rule("column:person", manifest=table)
    with pytest.raises(ManifestError, match=r"columns.*expected 'nope'"):
        parse_patient_rule("column:nope", manifest=table)
    table.write_text("person\nP1\n")
    with pytest.raises(ManifestError, match="one of image_id, path"):
        parse_patient_rule("column:person", manifest=table)
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        parse_patient_rule("column:person", manifest=table)
    with pytest.raises(ManifestError, match="cannot be read"):
        parse_patient_rule("column:person", manifest=tmp_path / "absent.csv")
