"""What a run of the flow is for."""

from enum import StrEnum


class Mode(StrEnum):
    """A start; a change while all runs, asked for or noticed; back again; previews; checks; building the image."""

    BOOT = "boot"
    APPLY = "apply"
    DETECT = "detect"
    ROLL_BACK = "roll-back"
    PLAN = "plan"
    DIFF = "diff"
    CHECK = "check"
    SETTINGS = "settings"
    COMPILE = "compile"
