"""What the events of an aggregate order to be done outside: each effect is carried out here and reports what it did."""
