"""The stored scores of NAS-Bench-201 give the figures that are known of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.proxies.combining import Hybrid, combine, normalise
from archwright.proxies.comparing import correlate, read_target, target_values
from archwright.proxies.grid import Grid, direct, first_for_all
from archwright.proxies.many import score_table
from archwright.proxies.naming import values_of
from archwright.proxies.published import grids, tables
from archwright.tables import Table, find_table

DATASETS = ("cifar10", "cifar100", "imagenet16-120")
PARTIAL = ("cifar10", "imagenet16-120")


@pytest.fixture(scope="module")
def table(shared_data) -> Table:
    if not (shared_data / "zero-cost").is_dir():
        pytest.skip("no zero-cost scores here")
    return find_table("nasbench201", shared_data)


def worth_of(table: Table, dataset: str) -> np.ndarray:
    return target_values(table, dataset, read_target(table, dataset))


def figures(table: Table, dataset: str, names: list[str]) -> dict[str, dict]:
    return {r["proxy"]: r for r in correlate(table, dataset, names, resamples=0).result["results"]}


def coefficients(row: dict) -> tuple[float, float]:
    return row["kendall"], row["spearman"]


def test_targets_have_the_ceilings_of_the_study(table):
    for dataset, row, best in zip(DATASETS, (1459, 3888, 81), (91.57, 73.26, 47.33333)):
        worth = worth_of(table, dataset)
        assert (np.argmax(worth), (worth == best).sum()) == (row, 1)
    some = [[worth_of(table, d)[i] for d in DATASETS] for i in (0, 11, 284)]
    assert np.round(some, 3).tolist() == [[81.90, 53.68, 25.767], [87.96, 67.68, 30.967], [85.57, 61.76, 31.933]]


def test_zen_with_and_without_its_failures(table):
    known = {"cifar10": (0.2722, 0.3549), "cifar100": (0.2817, 0.3607), "imagenet16-120": (0.2949, 0.4003)}
    alive = {"cifar10": (0.2397, 0.3108), "cifar100": (0.2496, 0.3170), "imagenet16-120": (0.2635, 0.3593)}
    for dataset in DATASETS:
        row = figures(table, dataset, ["zen"])["zen"]
        assert (row["n"], row["failed"]) == (15625, 341)
        assert coefficients(row) == pytest.approx(known[dataset], abs=5e-4)
        zen = values_of(table, dataset, "zen")
        there = np.isfinite(zen)
        assert direct(zen[there], worth_of(table, dataset)[there]) == pytest.approx(alive[dataset], abs=5e-4)


@pytest.mark.parametrize(
    ("dataset", "hybrid", "tau_a", "logsynflow", "nwot", "tops", "rank"),
    [
        ("cifar10", (0.6187, 0.8074), 0.6179, (0.5638, 0.7625), (0.5847, 0.7727), (90.74, 90.36), 15418),
        ("cifar100", (0.6561, 0.8410), 0.6551, (0.5939, 0.7890), (0.6190, 0.8037), (70.88, 71.34), 15324),
        ("imagenet16-120", (0.6355, 0.8149), 0.6345, (0.5848, 0.7765), (0.5960, 0.7778), (45.73, 41.23), 15324),
    ],
)
def test_the_hybrid_and_its_parts(table, dataset, hybrid, tau_a, logsynflow, nwot, tops, rank):
    found = figures(table, dataset, ["hybrid", "logsynflow", "nwot", "hybrid:mode=unconditional"])
    assert coefficients(found["hybrid"]) == pytest.approx(hybrid, abs=5e-4)
    assert found["hybrid"]["tau_a"] == pytest.approx(tau_a, abs=5e-4)
    assert coefficients(found["logsynflow"]) == pytest.approx(logsynflow, abs=5e-4)
    assert coefficients(found["nwot"]) == pytest.approx(nwot, abs=5e-4)
    for i in (0, 1):
        best = max(found["nwot"], found["logsynflow"], key=lambda r: coefficients(r)[i])
        assert coefficients(found["hybrid"])[i] > coefficients(best)[i] + 0.03
    unconditional = found["hybrid:mode=unconditional"]["top1_accuracy"]
    assert (found["hybrid"]["top1_accuracy"], unconditional) == pytest.approx(tops, abs=0.005)
    assert found["hybrid"]["condition_fires"] == 202
    assert found["hybrid"]["top1_accuracy_unconditional"] == unconditional == found["logsynflow"]["top1_accuracy"]
    parts = {name: values_of(table, dataset, name) for name in ("logsynflow", "naswot")}
    scores = Hybrid(dd="naswot")(parts)
    assert (np.argmax(scores), (scores > scores[1462]).sum() + 1) == (5721, rank)
    din, ddn = Hybrid(dd="naswot", failures="minimum").normalised(parts)
    assert np.flatnonzero(din > ddn).tolist() == [1462]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("hybrid:mode=unconditional,alpha=1,beta=1", [(0.6111, 0.8021, 90.36), (0.6459, 0.8333, 71.34), (0.6275, 0.8102, 41.23)]),
        ("hybrid:mode=unconditional", [(0.6190, 0.8078, 90.36), (0.6563, 0.8413, 71.34), (0.6357, 0.8151, 41.23)]),
        ("sum:logsynflow=1,nwot=1,normaliser=rank", [(0.6165, 0.8106, 89.98), (0.6504, 0.8407, 70.36), (0.6370, 0.8208, 45.73)]),
        ("sum:logsynflow=1,nwot=1,normaliser=min-max", [(0.6189, 0.8077, 90.36), (0.6561, 0.8411, 71.34), (0.6354, 0.8151, 41.23)]),
        ("sum:logsynflow=1,nwot=1,normaliser=z", [(0.6149, 0.8048, 90.36), (0.6526, 0.8388, 71.34), (0.6316, 0.8125, 41.23)]),
        ("sum:logsynflow=0.5,nwot=1.5,normaliser=z", [(0.6200, 0.8069, 90.36), (0.6576, 0.8404, 71.34), (0.6347, 0.8132, 41.23)]),
        ("freerea_params", [(0.5385, 0.7154, 90.36), (0.5504, 0.7250, 71.34), (0.5197, 0.6906, 41.23)]),
    ],
)  # fmt: skip
def test_other_combinations(table, name, known):
    for dataset, expected in zip(DATASETS, known):
        row = figures(table, dataset, [name])[name]
        assert coefficients(row) == pytest.approx(expected[:2], abs=6e-4)
        assert row["top1_accuracy"] == pytest.approx(expected[2], abs=0.005)


def test_the_head_of_the_ranking(table):
    deciles = {
        "cifar10": (-0.002, 0.061, -0.118),
        "cifar100": (0.189, 0.233, 0.051),
        "imagenet16-120": (0.352, 0.386, 0.156),
    }
    sizes = {"cifar10": 1578, "cifar100": 1587, "imagenet16-120": 1571}
    for dataset, expected in deciles.items():
        rows = figures(table, dataset, ["hybrid", "logsynflow", "nwot"]).values()
        assert [r["top_decile_kendall"] for r in rows] == pytest.approx(expected, abs=1e-3)
        assert {r["top_decile_n"] for r in rows} == {sizes[dataset]}
    hybrid, logsynflow, nwot = figures(table, "cifar100", ["hybrid", "logsynflow", "nwot"]).values()
    assert [hybrid["top10_accuracy"], hybrid["top10_mean"]] == pytest.approx([70.88, 70.30], abs=0.005)
    assert [logsynflow["top10_accuracy"], logsynflow["top10_mean"]] == pytest.approx([73.18, 70.98], abs=0.005)
    assert [nwot["top10_accuracy"], nwot["top10_mean"]] == pytest.approx([72.02, 70.09], abs=0.005)
    assert (hybrid["overlap_at_50"], hybrid["overlap_at_100"]) == (0.10, 0.14)


SUITE = {
    "cifar10": {
        "jacov": (0.632, 0.818), "nwot": (0.603, 0.792), "epe_nas": (0.589, 0.787), "params": (0.568, 0.747),
        "synflow": (0.536, 0.732), "l2_norm": (0.527, 0.720), "flops": (0.519, 0.714), "snip": (0.400, 0.552),
        "grad_norm": (0.399, 0.550), "fisher": (0.360, 0.501), "grasp": (0.340, 0.491), "zen": (0.096, 0.101),
        "plain": (-0.244, -0.367),
    },
    "imagenet16-120": {
        "nwot": (0.612, 0.795), "jacov": (0.600, 0.781), "params": (0.547, 0.718), "l2_norm": (0.544, 0.737),
        "synflow": (0.538, 0.725), "flops": (0.501, 0.690), "grad_norm": (0.404, 0.543), "snip": (0.403, 0.542),
        "grasp": (0.373, 0.521), "fisher": (0.358, 0.485), "epe_nas": (0.216, 0.319), "zen": (0.092, 0.112),
        "plain": (-0.228, -0.340),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "logsynflow", "hybrid", "chosen"),
    [
        ("cifar10", (0.567, 0.767), (0.6226, 0.8144), "suite_jacov"),
        ("imagenet16-120", (0.563, 0.754), (0.6293, 0.8087), "suite_nwot"),
    ],
)
def test_the_unique_cells_of_the_suite(table, dataset, logsynflow, hybrid, chosen):
    names = [f"suite_{n}" for n in SUITE[dataset]]
    combined = "hybrid:dd=suite_nwot"
    result = correlate(table, dataset, [*names, "logsynflow", combined], resamples=0).result
    assert (result["n"], result["missing"]) == (9445, 6180)
    found = {r["proxy"]: r for r in result["results"]}
    for name, expected in SUITE[dataset].items():
        assert coefficients(found[f"suite_{name}"]) == pytest.approx(expected, abs=1e-3)
    assert coefficients(found["logsynflow"]) == pytest.approx(logsynflow, abs=1e-3)
    assert coefficients(found[combined]) == pytest.approx(hybrid, abs=5e-4)
    assert found[combined]["condition_fires"] == 2
    assert found[combined]["top1_accuracy"] == worth_of(table, dataset)[5721]
    assert result["selected"] == {"data_independent": "logsynflow", "data_dependent": chosen}


@pytest.mark.parametrize(("dataset", "expected"), [("cifar10", (0.633, 0.821)), ("imagenet16-120", (0.627, 0.791))])
def test_the_vote_of_three_ranks_better_than_each(table, dataset, expected):
    members = [f"suite_{name}" for name in ("synflow", "jacov", "snip")]
    found = figures(table, dataset, [*members, f"vote:proxies={'+'.join(members)}"])
    vote = found.pop(f"vote:proxies={'+'.join(members)}")
    assert coefficients(vote) == pytest.approx(expected, abs=2e-3)
    assert vote["kendall"] > max(r["kendall"] for r in found.values())


def test_parts_are_selected_on_all_cells(table):
    for dataset in DATASETS:
        found = correlate(table, dataset, ["logsynflow", "synflow", "zen", "nwot"], resamples=0).result
        assert found["selected"] == {"data_independent": "logsynflow", "data_dependent": "nwot"}


RECORDS = {
    "nwot": ((0.594, 0.787), (0.624, 0.814), (0.610, 0.795)),
    "jacov": ((0.584, 0.766), (0.555, 0.725), (0.553, 0.727)),
    "l2_norm": ((0.528, 0.725), (0.548, 0.748), (0.540, 0.738)),
    "snip": ((0.443, 0.608), (0.488, 0.658), (0.456, 0.612)),
    "grad_norm": ((0.439, 0.606), (0.478, 0.648), (0.454, 0.615)),
    "fisher": ((0.374, 0.509), (0.411, 0.555), (0.390, 0.524)),
    "grasp": ((0.381, 0.539), (0.392, 0.552), (0.373, 0.514)),
    "epe_nas": ((0.479, 0.667), (0.288, 0.421), (0.070, 0.103)),
    "plain": ((-0.173, -0.257), (-0.178, -0.268), (-0.173, -0.256)),
}
RECORDS_HYBRID = ((0.617, 0.808), (0.649, 0.836), (0.646, 0.827))


@pytest.mark.parametrize("at", range(3))
def test_the_records_of_725_cells(table, at):
    found = figures(table, DATASETS[at], [*(f"naslib_{n}" for n in RECORDS), "hybrid:dd=naslib_nwot"])
    assert {r["n"] for r in found.values()} == {724 if at == 2 else 725}
    for name, expected in RECORDS.items():
        assert coefficients(found[f"naslib_{name}"]) == pytest.approx(expected[at], abs=1e-3)
        assert found[f"naslib_{name}"]["seconds"] > 0.1
    assert coefficients(found["hybrid:dd=naslib_nwot"]) == pytest.approx(RECORDS_HYBRID[at], abs=1e-3)


def test_records_are_joined_to_their_cells(table):
    """Two records of one cell that do not depend on images agree; a wrong notation would not."""
    for dataset in PARTIAL:
        for name in ("params", "flops"):
            both = [values_of(table, dataset, f"{p}{name}") for p in ("suite_", "naslib_")]
            there = ~np.isnan(both[0]) & ~np.isnan(both[1])
            assert there.sum() > 300
            assert both[0][there] == pytest.approx(both[1][there], rel=1e-4)


def test_counts_follow_from_the_operations(table):
    """0 none, 1 skip, 2 conv 1x1, 3 conv 3x3, 4 pool."""
    n1, n3, pools = ((table.codes == code).sum(axis=1) for code in (2, 3, 4))
    known = {
        "cifar10": 7.94387 + 35.81952 * n3 + 4.36224 * n1 + 1.29024 * pools,
        "imagenet16-120": 1.99379 + 8.95488 * n3 + 1.09056 * n1 + 0.32256 * pools,
    }
    for dataset, expected in known.items():
        flops = values_of(table, dataset, "suite_flops")
        there = ~np.isnan(flops)
        assert flops[there] == pytest.approx(expected[there], rel=1e-4)


def test_dead_cells_are_the_same_in_all_files(table):
    dead = values_of(table, "cifar100", "synflow") == 0
    assert dead.sum() == 341
    for dataset in DATASETS:
        assert (np.isneginf(values_of(table, dataset, "zen")) == dead).all()
        assert ((values_of(table, dataset, "logsynflow") == 0) == dead).all()
        assert np.isneginf(values_of(table, dataset, "naswot")).sum() == 201


def test_jacov_is_refused_by_max_and_zero_weights_rank_nothing(table):
    jacov = values_of(table, "cifar10", "suite_jacov")
    with pytest.raises(SettingsError, match=r"-64\.95"):
        normalise(jacov[~np.isnan(jacov)], "max")
    parts = {n: values_of(table, "cifar10", n) for n in ("logsynflow", "naswot")}
    scores = combine(*Hybrid(dd="naswot").normalised(parts), 0, 0)
    assert direct(scores, worth_of(table, "cifar10"))[0] == pytest.approx(0.011, abs=1e-3)


def test_twelve_epochs_of_training_are_a_proxy_too(table):
    known = ((0.633, 0.810), (0.643, 0.822), (0.640, 0.815))
    for dataset, expected in zip(DATASETS, known):
        row = figures(table, dataset, ["val_accuracy@12"])["val_accuracy@12"]
        assert coefficients(row) == pytest.approx(expected, abs=1e-3)


def test_a_learned_combination_is_judged_on_other_cells(table):
    name = "learned:proxies=logsynflow+naswot+zen+params,train=200"
    result = correlate(table, "cifar100", [name, "hybrid"], resamples=0).result
    assert (result["n"], result["fitted_on"]) == (15425, 200)
    found = {r["proxy"]: r for r in result["results"]}
    assert found[name]["kendall"] > found["hybrid"]["kendall"] - 0.01


def test_the_published_tables_are_met(shared_data, table):
    rows = tables(shared_data)["rows"]
    assert len(rows) == 39
    for row in rows:
        if row["measure"] != "top1_accuracy":
            assert row["ours"] == pytest.approx(row["published"], abs=0.013)
        elif row["proxy"] != "nwot":
            assert row["ours"] == pytest.approx(row["published"], abs=0.005)


def test_a_coarse_grid_is_flat_around_the_published_weights(shared_data, table):
    found = grids(shared_data, datasets=["cifar100"], alphas=np.array([0.5, 10]), betas=np.array([1.5, 30, 50]))
    grid = found["cifar100"]
    assert grid.at(0.5, 1.5) == pytest.approx(0.6561, abs=2e-4)
    assert grid.at(10, 30) == pytest.approx(grid.at(0.5, 1.5), abs=1e-3)


@pytest.mark.slow
def test_the_whole_grid(shared_data, table):
    found = grids(shared_data)
    known = {
        "cifar10": (0.62004, (9, 42.5), 0.80777, (8.5, 33.5)),
        "cifar100": (0.65771, (13, 59.5), 0.84146, (17.5, 64)),
        "imagenet16-120": (0.63566, (12, 35.5), 0.81503, (21.5, 58.5)),
    }
    for dataset, (tau, tau_at, rho, rho_at) in known.items():
        grid: Grid = found[dataset]
        for which, value, at in (("kendall", tau, tau_at), ("spearman", rho, rho_at)):
            *_, best = grid.best(which)
            assert best == pytest.approx(value, abs=2e-4)
            assert grid.at(*at, which) == pytest.approx(best, abs=2e-5)
            assert grid.at(0.5, 1.5, which) > best - 0.002
    assert first_for_all(list(found.values())) == (0.5, 1.5)


@pytest.mark.slow
def test_our_scores_of_the_same_cells_rank_them_as_the_published_ones(table, shared_data):
    """Real CIFAR-10 images, batch 64, default initialisation; dead operations run, as the published scores count them."""
    files = sorted((shared_data / "cifar10-lossless-4k").glob("batch-*.npz"))
    if not files:
        pytest.skip("no CIFAR-10 images here")
    parts = [np.load(file) for file in files]
    data = load_data((np.concatenate([p["images"] for p in parts]), np.concatenate([p["labels"] for p in parts])))
    names = ["nwot", "logsynflow", "synflow", "zen", "snip", "grad_norm", "fisher", "l2_norm", "jacov"]
    scored = score_table(table, "cifar10", data, names, sample=80, options={"run_dead": True}, seed=7, device="cpu")
    published = {"nwot": ("naswot", "cifar10"), "zen": ("zen", "cifar10"), "logsynflow": ("logsynflow", "cifar100")}
    published |= {
        name: (f"suite_{name}", "cifar10") for name in ("synflow", "snip", "grad_norm", "fisher", "l2_norm", "jacov")
    }
    least = {"nwot": 0.99, "zen": 0.99, "logsynflow": 0.99, "synflow": 0.98, "l2_norm": 0.85, "jacov": 0.85}
    for name, (column, dataset) in published.items():
        ours = scored.column("cifar10", f"computed_{name}" if name in table.metrics("cifar10") else name).at()
        theirs = table.column(dataset, column).at()
        both = ~np.isnan(ours) & ~np.isnan(theirs)
        assert both.sum() > 30
        assert spearmanr(ours[both], theirs[both]).statistic > least.get(name, 0.95), name
