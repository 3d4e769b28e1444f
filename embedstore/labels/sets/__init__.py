"""Label sets that the package ships, as YAML files."""
