"""What came and went between two runs, in the formats that say more of it than what is new."""
