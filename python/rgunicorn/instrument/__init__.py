"""What reports the server's numbers to other programs."""
