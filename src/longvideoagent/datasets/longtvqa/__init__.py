"""LongTVQA and LongTVQA+: read from their release layout, built from TVQA, written, sampled."""
