# What a user moves out of Junk is no spam, unless it is thrown away. dmsinit writes this file.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables", "special-use"];

if environment :matches "imap.mailbox" "*" {
    set "mailbox" "${1}";
}
if specialuse_exists "${mailbox}" "\\Trash" {
    stop;
}
pipe :copy "spamassassin-learn-ham";
