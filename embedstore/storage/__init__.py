"""Files, segments and the manifest. Knows no encoder, no table format and no command line."""
