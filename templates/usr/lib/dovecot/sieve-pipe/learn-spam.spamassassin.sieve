# What a user moves into Junk is spam. dmsinit writes this file.
require ["vnd.dovecot.pipe", "copy", "imapsieve"];

pipe :copy "spamassassin-learn-spam";
