# MARK_SPAM_AS_READ: spam needs nobody's attention. dmsinit writes this file.
require ["imap4flags"];

if anyof (header :contains "X-Spam-Flag" "YES", header :contains "X-Spam" "Yes") {
    setflag "\\Seen";
}
