# MOVE_SPAM_TO_JUNK: into the user's mailbox for junk, whatever its name is. dmsinit writes this file.
require ["fileinto", "special-use", "mailbox"];

if anyof (header :contains "X-Spam-Flag" "YES", header :contains "X-Spam" "Yes") {
    fileinto :specialuse "\\Junk" :create "Junk";
}
