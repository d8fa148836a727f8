"""Hypothesis without deadlines: the time of one example says more about the machine than the code."""

from hypothesis import settings

settings.register_profile("searchkit", deadline=None)
settings.load_profile("searchkit")
