"""Full-text search (Debian's flatcurve) and logins that a Lua program decides, both switched on in dovecot.cf."""

from tests.image.conftest import AT_ONCE, Start
from tests.image.harness import DOMAIN, account, letter

ANNA = f"anna@{DOMAIN}"
DOVECOT_CF = (
    AT_ONCE
    + """mail_plugins {
  fts = yes
  fts_flatcurve = yes
}
fts flatcurve {
  substring_search = yes
}
passdb lua {
  lua_file = /etc/dovecot/auth.lua
}
"""
)
LUA = """function auth_passdb_lookup(request)
  if request.user == "lua@example.test" then
    return dovecot.auth.PASSDB_RESULT_OK, { password = "moon" }
  end
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, {}
end
"""


def test_search_uses_the_index_and_lua_answers_for_logins(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA),
        "dovecot.cf": DOVECOT_CF,
        "user-patches.sh": f"cat > /etc/dovecot/auth.lua << 'END'\n{LUA}END\n",
    }
    server = start(files, environment={"ENABLE_AMAVIS": "0"}).wait_until_up()
    message = letter(ANNA, "about animals", f"outside@{DOMAIN}")
    message.set_content("A zebra in Köln.\n")
    with server.smtp() as smtp:
        smtp.sendmail("", [ANNA], message.as_bytes())
    server.receive(ANNA, "about animals")
    with server.imap(ANNA) as imap:
        imap.select("INBOX")
        for word, count in (("zebra", 1), ("ebr", 1), ("koln", 1), ("lion", 0)):
            assert len(imap.search(None, "BODY", word)[1][0].split()) == count, word
    assert "messages=1" in server.checked("doveadm", "fts", "flatcurve", "stats", "-u", ANNA, "INBOX")

    assert server.run("doveadm", "auth", "test", "lua@example.test", "moon").code == 0
    assert server.run("doveadm", "auth", "test", "lua@example.test", "sun").code != 0
    assert server.run("doveadm", "auth", "test", ANNA, "correct horse").code == 0
