"""What the files of a corpus mean and which are used: raw folder to manifest."""
