"""Values and small functions that do not depend on stores, tables or models."""
