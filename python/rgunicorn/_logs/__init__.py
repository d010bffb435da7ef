"""What `glogging` is made of: lines of the access log, configurations of logging, syslog."""
