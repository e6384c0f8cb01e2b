"""Judgement as functions: typed state in, typed state out, no table and no mail inside."""
