import math

import pytest

from archwright.errors import SettingsError
from archwright.evaluate.settings import Training


def test_settings_survive_json():
    import json

    training = Training(epochs=3, optimizer="sgd", lr=0.1, flip=True, keep="best")
    assert Training.from_json(json.loads(json.dumps(training.to_json()))) == training


def test_whole_numbers_and_reals_become_their_kind():
    assert Training(epochs=6.0, lr=1) == Training(epochs=6, lr=1.0)
    assert isinstance(Training(epochs=6.0).epochs, int)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "'epochs' must be at least 1, not 0"),
        ({"epochs": 2.5}, "'epochs' must be a whole number, not 2.5"),
        ({"epochs": True}, "'epochs' must be a whole number, not True"),
        ({"lr": 0}, "'lr' must be above 0"),
        ({"lr": math.nan}, "'lr' must be a number, not nan"),
        ({"lr": "fast"}, "'lr' must be a number, not 'fast'"),
        ({"flip": 1}, "'flip' must be true or false, not 1"),
        ({"optimizer": "adamW"}, "unknown optimizer 'adamW'; did you mean adam or adamw"),
        ({"optimizer": 3}, "'optimizer' must be a word, not 3"),
        ({"schedule": "linear"}, "unknown schedule 'linear'"),
        ({"monitor": "params"}, "unknown monitor 'params'"),
        ({"drop_path": 1.0}, "'drop_path' must be at least 0 and below 1, not 1.0"),
        ({"weight_decay": -1}, "'weight_decay' must be at least 0, not -1"),
        ({"decay": "norms"}, "unknown decay 'norms'"),
        ({"drop_path_rates": "falling"}, "unknown drop_path_rates 'falling'"),
        ({"learning_rate": 1}, "unknown training setting 'learning_rate'"),
        ({"epoch": 1}, "did you mean epochs"),
    ],
)
def test_a_wrong_setting_is_refused_on_one_line(settings, message):
    with pytest.raises(SettingsError) as caught:
        Training.from_json(settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cosine_rises_in_the_warm_up_and_falls_to_nearly_nothing():
    training = Training(epochs=6, lr=0.1, schedule="cosine", warmup_epochs=1)
    rates = [training.learning_rate(step, 10) for step in range(60)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(0.1, rel=0.01)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_warm_up_never_takes_more_than_a_third():
    training = Training(epochs=1, lr=0.1, schedule="constant", warmup_epochs=5)
    rates = [training.learning_rate(step, 30) for step in range(30)]
    assert rates.index(0.1) == 9


def test_step_schedule_drops_tenfold_at_half_and_three_quarters():
    training = Training(epochs=200, lr=0.001, schedule="step", warmup_epochs=0)
    rates = [training.learning_rate(epoch, 1) for epoch in (0, 99, 100, 149, 150, 199)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_cosine_by_epochs_changes_between_epochs_alone():
    training = Training(epochs=600, lr=0.025, schedule="cosine-epochs", warmup_epochs=0)
    rates = [training.learning_rate(epoch * 7 + step, 7) for epoch in (0, 300, 599) for step in (0, 6)]
    assert rates == pytest.approx([0.025] * 2 + [0.0125] * 2 + [1.71e-7] * 2, rel=5e-3)
    warmed = Training(epochs=6, lr=0.1, schedule="cosine-epochs", warmup_epochs=1)
    assert [warmed.learning_rate(step, 10) for step in (0, 9, 10, 19)] == pytest.approx([0.01, 0.1, 0.1, 0.1])
    assert warmed.learning_rate(20, 10) < 0.1


def test_a_single_step_has_a_positive_rate():
    for schedule in ("cosine", "cosine-epochs", "constant", "step"):
        assert Training(epochs=1, schedule=schedule).learning_rate(0, 1) > 0


def test_settings_need_no_torch():
    import subprocess
    import sys

    code = "import sys; from archwright.evaluate import METRICS, Training; Training(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
