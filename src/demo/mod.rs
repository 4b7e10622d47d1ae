//! DMS-shaped traffic, its record, and the reconciliation of a lake against it.
