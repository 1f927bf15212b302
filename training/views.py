"""What the crops of rated photos show: that which the scorers will see, and more around it."""

from pipeline.crops import View

VIEW = View(context=1.2, size=224)
"""Of new scorers. Those that are trained on smaller crops see these, shrunk."""
WIDE = View(context=VIEW.context * 288 / VIEW.size, size=288)
"""The same scale with more around, for the augmentation to move in."""
