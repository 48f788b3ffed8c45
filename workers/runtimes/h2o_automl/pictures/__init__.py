"""Pictures of an explanation, drawn from its tables.

Drawn with matplotlib's objects on its Agg canvas, never with pyplot, whose state all threads of a process share.
Colours are told apart with any colour vision (Okabe and Ito's set for lines, one hue from light to dark for heat).
"""
