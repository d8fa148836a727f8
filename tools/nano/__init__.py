"""How the small model of docs/pretraining.md is trained and measured."""
