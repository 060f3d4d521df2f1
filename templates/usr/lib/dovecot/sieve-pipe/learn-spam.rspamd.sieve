# RSPAMD_LEARN: what a user moves into Junk is spam. dmsinit writes this file.
require ["vnd.dovecot.pipe", "copy", "imapsieve"];

pipe :copy "rspamc" ["--connect", "127.0.0.1:11334", "learn_spam"];
