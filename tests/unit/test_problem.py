"""Problems are sentences that every log and protocol can carry."""

from dmsinit.problem import Problem


def test_bytes_that_are_no_text_are_shown_as_question_marks() -> None:
    name = b"subm\xfcssion".decode("utf-8", "surrogateescape")
    problem = Problem("postfix-master.cf:1", f"there is no service {name}", "schreibe submission für smtps")
    assert str(problem) == "postfix-master.cf:1: there is no service subm?ssion; schreibe submission für smtps"
    assert str(problem).encode().decode() == str(problem)
