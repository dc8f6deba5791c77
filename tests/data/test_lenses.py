"""The strong-lens challenge, on stand-ins laid out as the real files are."""

import numpy as np
import pytest

from archwright.data import load_data
from archwright.data.fits import read_fits
from archwright.data.lenses import BANDS, is_lens, prepare_lenses, read_catalogue
from archwright.errors import DataError, SettingsError

HEADER = "# 1 ID\n# 2 x_crit\n,ID,x_crit,n_pix_source,n_source_im,mag_eff\n"


def write_fits(path, image, bitpix=-32, extra=()):
    """A FITS file with one image in its primary part."""
    cards = [
        "SIMPLE  =                    T / conforms to FITS standard",
        f"BITPIX  = {bitpix:20d} / array data type",
        f"NAXIS   = {image.ndim:20d}",
        *(f"NAXIS{i} ".ljust(8) + f"= {n:20d}" for i, n in enumerate(reversed(image.shape), start=1)),
        *extra,
        "END",
    ]
    header = "".join(card.ljust(80) for card in cards).encode()
    content = image.astype({-32: ">f4", -64: ">f8", 16: ">i2", 8: "u1"}[bitpix]).tobytes()
    path.write_bytes(
        header.ljust(-(-len(header) // 2880) * 2880) + content.ljust(-(-len(content) // 2880) * 2880, b"\0")
    )
    return path


def challenge(root, n=20, sides=(20, 6), lenses=0.5):
    """A folder as the training set unpacks to, with tiny fluxes as the real ones."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        lens = i < n * lenses
        for folder in BANDS.values():
            home = root / "Public" / folder
            home.mkdir(parents=True, exist_ok=True)
            side = sides[0] if folder == "EUC_VIS" else sides[1]
            write_fits(home / f"image{folder}-{200000 + i}.fits", 1e-11 * rng.normal(size=(side, side)) + 1e-10 * lens)
        rows.append(f"{i},{200000 + i},0.5,{21 if lens else 20},1,1.7\n")
    (root / "image_catalog2.0train.csv").write_text(HEADER + "".join(rows))
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return challenge(tmp_path_factory.mktemp("lenses"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((1, 1.7, 21), True),
        ((0, 1.7, 21), False),
        ((1, 1.6, 21), False),
        ((1, 1.7, 20), False),
        ((3, float("nan"), 100), False),
    ],
)
def test_a_lens_has_an_image_magnified_and_large_enough(facts, expected):
    assert is_lens(*facts) is expected


def test_the_catalogue_may_have_comments_and_gaps(tmp_path):
    file = tmp_path / "catalogue.csv"
    file.write_text(HEADER + "0,7,0.1,30,2,1.9\n1,8,,30,2,\n")
    assert read_catalogue(file) == {7: 1, 8: 0}


def test_bands_have_their_sizes_order_split_and_range(source, tmp_path):
    made = prepare_lenses(source, tmp_path / "lenses.npz")
    data = load_data(tmp_path / "lenses.npz")
    assert data.input_shape.images == {"vis": (1, 20, 20), "j": (1, 6, 6), "h": (1, 6, 6), "y": (1, 6, 6)}
    assert data.classes == ("non-lens", "lens")
    assert made.class_counts == {"train": [8, 8], "test": [2, 2]}
    assert any("mag_eff > 1.6" in note for note in data.notes)
    with np.load(tmp_path / "lenses.npz") as file:
        train, test = file["train_images_vis"], file["test_images_vis"]
        assert (train.min(), train.max()) == (0, 1)
        assert test.min() >= 0
        assert test.max() <= 1
        which = file["test_ids"][0]
        low, high = file["ranges"][0]
        raw = read_fits(source / "Public" / "EUC_VIS" / f"imageEUC_VIS-{which}.fits")
        assert np.allclose(test[0], ((raw - low) / (high - low)).clip(0, 1), atol=1e-5)
        assert file["test_labels"][0] == (which < 200010)


def test_the_published_sizes_merge_to_four_channels_of_66_pixels(tmp_path):
    prepare_lenses(challenge(tmp_path / "s", n=6, sides=(200, 66)), tmp_path / "lenses.npz", test=0.34)
    assert load_data(tmp_path / "lenses.npz", validation=0.5).input_shape.merged == (4, 66, 66)


def test_every_image_may_have_its_own_range_and_a_constant_one_is_black(tmp_path):
    source = challenge(tmp_path / "s", n=8)
    for i in range(8):
        write_fits(source / "Public" / "EUC_J" / f"imageEUC_J-{200000 + i}.fits", np.full((6, 6), 3.0))
    prepare_lenses(source, tmp_path / "own.npz", scope="image", test=0.25)
    prepare_lenses(source, tmp_path / "all.npz", test=0.25)
    for name in ("own", "all"):
        with np.load(tmp_path / f"{name}.npz") as file:
            assert not file["train_images_j"].any()
            assert not file["test_images_j"].any()
    with np.load(tmp_path / "own.npz") as file:
        assert np.allclose(file["test_images_vis"].max((1, 2)), 1)
        assert np.allclose(file["test_images_vis"].min((1, 2)), 0)


def test_candidates_without_an_image_are_left_out_and_counted(tmp_path):
    source = challenge(tmp_path / "s", n=12)
    (source / "Public" / "EUC_H" / "imageEUC_H-200000.fits").unlink()
    made = prepare_lenses(source, tmp_path / "l.npz", limit=8)
    assert sum(made.sizes.values()) == 8
    assert "1 candidates of the catalogue left out: an image is missing" in made.notes


@pytest.mark.parametrize(
    ("bitpix", "extra", "expected"),
    [(-64, (), 3.0), (16, ("BSCALE  =                  0.5", "BZERO   =                 10.0"), 11.5), (8, (), 3.0)],
)
def test_fits_of_every_type_is_scaled_as_its_header_says(tmp_path, bitpix, extra, expected):
    image = read_fits(write_fits(tmp_path / "a.fits", np.full((2, 3), 3.0), bitpix, extra))
    assert image.dtype == np.float32
    assert np.array_equal(image, np.full((2, 3), expected, np.float32))


def break_catalogue(source):
    (source / "image_catalog2.0train.csv").write_text("ID,mag_eff\n1,2\n")


def break_band(source):
    for file in (source / "Public" / "EUC_Y").iterdir():
        file.unlink()


def break_size(source):
    write_fits(source / "Public" / "EUC_J" / "imageEUC_J-200003.fits", np.zeros((5, 6)))


def break_value(source):
    write_fits(source / "Public" / "EUC_J" / "imageEUC_J-200003.fits", np.full((6, 6), np.nan))


def cut_off(source):
    file = source / "Public" / "EUC_J" / "imageEUC_J-200003.fits"
    file.write_bytes(file.read_bytes()[:2900])


def no_fits(source):
    (source / "Public" / "EUC_J" / "imageEUC_J-200003.fits").write_bytes(b"GIF89a")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_catalogue, "has no column n_source_im"),
        (break_band, "no folder EUC_Y with images such as imageEUC_Y-100000.fits"),
        (break_size, r"has \(6, 6\) pixels, .*-200003.fits has \(5, 6\)"),
        (break_value, "not finite"),
        (cut_off, "is cut off"),
        (no_fits, "is not a FITS file"),
    ],
)
def test_damaged_files_are_named_and_nothing_is_left_behind(tmp_path, damage, message):
    source = challenge(tmp_path / "s", n=8)
    damage(source)
    with pytest.raises(DataError, match=message):
        prepare_lenses(source, tmp_path / "out" / "l.npz")
    assert not list(tmp_path.glob("out/*"))


def test_settings_that_make_no_sense_are_refused(source, tmp_path):
    for options in ({"test": 1.0}, {"limit": 1}, {"scope": "pixel"}):
        with pytest.raises(SettingsError):
            prepare_lenses(source, tmp_path / "l.npz", **options)
    with pytest.raises(DataError, match="must end in .npz"):
        prepare_lenses(source, tmp_path / "l.csv")
    with pytest.raises(DataError, match="no image_catalog2.0train.csv"):
        prepare_lenses(tmp_path, tmp_path / "l.npz")
