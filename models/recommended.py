"""Names the backbones to begin with: a small, a balanced and a best one."""

from __future__ import annotations

from typing import Literal, TypeAlias

Use: TypeAlias = Literal["small", "balanced", "best"]
RECOMMENDED: dict[Use, str] = {
    "small": "mobilenet_v2",
    "balanced": "efficientnet_v2_b0",
    "best": "efficientnet_v2_s",
}
DEFAULT_BACKBONE = RECOMMENDED["balanced"]
