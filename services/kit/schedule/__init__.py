"""Scheduled work: at intervals, at times of day, or for ever; once over all replicas.

``timetable`` (when is a job due) and ``turn`` (is it to be run now) are pure; ``runner`` is one
job's life in one process, ``schedule`` that of all of them.
"""

from .job import LIMIT_S, Job, On, Run
from .schedule import Schedule
from .stats import JobCollector, JobStats
from .timetable import Always, At, Every, Timetable

__all__ = [
    "LIMIT_S",
    "Always",
    "At",
    "Every",
    "Job",
    "JobCollector",
    "JobStats",
    "On",
    "Run",
    "Schedule",
    "Timetable",
]
