"""What is around every route: who may come in, how much, and how problems are answered."""
