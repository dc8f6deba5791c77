"""Studies: a searcher run against an evaluator within a budget; stored, resumable, parallel."""

from archwright.study.executors import Evaluator, Executor, InProcess, Outcome, Processes, Task
from archwright.study.record import StudyRecord, Trial
from archwright.study.stopping import Budget, EarlyStopping

__all__ = [
    "Budget",
    "EarlyStopping",
    "Evaluator",
    "Executor",
    "InProcess",
    "Outcome",
    "Processes",
    "StudyRecord",
    "Task",
    "Trial",
]
