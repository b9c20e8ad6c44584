"""The threshold advice: clipping policies replayed, a level suggested, a snippet to paste."""
