"""What the test modules share: the fixture cases, their truth, comparison, isolation, random queries."""
