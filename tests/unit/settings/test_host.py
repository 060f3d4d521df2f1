"""Mail names."""

import pytest

from dmsinit.settings import FqdnMissing, domain_of
from dmsinit.settings.host import check_fqdn


@pytest.mark.parametrize(
    ("fqdn", "domain"),
    [("mail.example.test", "example.test"), ("example.test", "example.test"), ("a.b.c.test", "b.c.test"), ("a", "a")],
)
def test_domain(fqdn: str, domain: str) -> None:
    assert domain_of(fqdn) == domain


@pytest.mark.parametrize("fqdn", ["mail.example.test", "m_1.example.test", "xn--mller-kva.test", "a.b"])
def test_good_names(fqdn: str) -> None:
    assert check_fqdn(fqdn, "hostname") is None


@pytest.mark.parametrize("fqdn", ["mail..test", ".test", "-a.test", "a b.test", "a.test\n", "mäil.test", "10.0.0.1",
                                  "x" * 64 + ".test", "a." * 130 + "test"])  # fmt: skip
def test_bad_names(fqdn: str) -> None:
    problem = check_fqdn(fqdn, "hostname")
    assert problem is not None
    assert not isinstance(problem, FqdnMissing)


def test_name_without_a_dot() -> None:
    problem = check_fqdn("a1b2c3", "hostname")
    assert isinstance(problem, FqdnMissing)
    assert "hostname" in problem.cause
    assert "domainname" in problem.cause
