"""What a network takes on a device, without running it there."""

from archwright.hardware.accuracy import accuracy
from archwright.hardware.adaptation import Adapted
from archwright.hardware.measuring import measure_profile
from archwright.hardware.predictors import PREDICTORS, LatencyPredictor, load_predictor, make_predictor
from archwright.hardware.profile import DeviceProfile, load_profile

__all__ = [
    "PREDICTORS",
    "Adapted",
    "DeviceProfile",
    "LatencyPredictor",
    "accuracy",
    "load_predictor",
    "load_profile",
    "make_predictor",
    "measure_profile",
]
