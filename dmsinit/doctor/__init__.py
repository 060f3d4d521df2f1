"""`dmsctl doctor`: look at everything that has to be right for mail to flow, and say what is not and what to do.

`gather` asks the system and the network and returns Facts; `checks` are functions from Facts to Findings, and `report`
shows them. Nothing is changed, and nothing takes longer than a few seconds.
"""

from dmsinit.doctor.report import Finding, as_json, report

__all__ = ["Finding", "as_json", "examine", "report"]


def examine() -> list[Finding]:
    """Return all findings, in the order of the checks."""
    import asyncio

    from dmsinit.doctor.checks import CHECKS
    from dmsinit.doctor.gather import gather

    facts = asyncio.run(gather())
    return [finding for check in CHECKS for finding in check(facts)]
