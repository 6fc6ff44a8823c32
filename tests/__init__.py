"""Tests of mmvidssl; a package so that the helpers here are found before other packages' tests."""
