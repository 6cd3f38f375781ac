"""Looking at hosts for `clusterd doctor`: what is there becomes `clusterd.doctor`'s facts; nothing is changed.

Whatever does not answer takes its own few seconds, and is told as not seen. No right of root is needed for most of it.
"""

from clusterd.examination.host import Here, look
from clusterd.examination.whole import whole

__all__ = ["Here", "look", "whole"]
