"""A site's app that receives signals: it notes each in a file, and hangs while another exists."""
