"""A run's report for people and for CI: an HTML page and JUnit XML, both made from the JSON report alone."""
