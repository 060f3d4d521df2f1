"""What only a start of the container does: repairs, state directories, mailboxes."""
