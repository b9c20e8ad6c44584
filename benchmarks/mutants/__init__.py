"""Mutation testing: what can be changed in a module without a test that fails?"""
