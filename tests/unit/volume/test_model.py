"""Dummy logins for aliases while quotas are on."""

from dmsinit.volume import Account, Alias, Dummy, alias_dummies

ANNA, BOB = Account("anna@d.test", "h1"), Account("bob@d.test", "h2")


def test_the_first_target_that_is_an_account_counts_in_the_order_of_the_file() -> None:
    aliases = [
        Alias("second@d.test", ("out@x.test", "Bob@d.test", "anna@d.test")),
        Alias("first@d.test", ("anna@d.test", "bob@d.test")),
    ]
    assert alias_dummies([ANNA, BOB], aliases) == (Dummy("second@d.test", BOB), Dummy("first@d.test", ANNA))


def test_similar_names_each_get_their_own() -> None:
    names = ("test@d.test", "prefixtest@d.test", "first.name@d.test", "first-name@d.test")
    dummies = alias_dummies([ANNA], [Alias(name, ("anna@d.test",)) for name in names])
    assert tuple(dummy.address for dummy in dummies) == names


def test_outside_targets_catch_alls_bare_names_accounts_and_repetitions_get_none() -> None:
    aliases = [
        Alias("out@d.test", ("x@other.test",)),
        Alias("@d.test", ("anna@d.test",)),
        Alias("bare", ("anna@d.test",)),
        Alias("bob@d.test", ("anna@d.test",)),
        Alias("chain@d.test", ("out@d.test",)),
        Alias("real@d.test", ("anna@d.test",)),
        Alias("real@d.test", ("bob@d.test",)),
    ]
    assert alias_dummies([ANNA, BOB], aliases) == (Dummy("real@d.test", ANNA),)
