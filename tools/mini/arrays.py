"""The array type that these tools pass around."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
