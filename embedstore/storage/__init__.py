"""Files, segments and the manifest. It does not depend on encoders, table formats or the command line."""
