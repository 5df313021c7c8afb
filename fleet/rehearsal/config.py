"""The OpenCode configuration for the rehearsal model: the content of `OPENCODE_CONFIG_CONTENT`.

OpenCode bundles the provider package, so nothing is downloaded. Cost figures are invented, so that costs are not zero.
"""

from typing import Any, Final

from fleet.rehearsal.request import MODEL

PROVIDER: Final = "rehearsal"
QUALIFIED_MODEL: Final = f"{PROVIDER}/{MODEL}"
"""The model as OpenCode's `model` setting names it."""


def opencode_config(base_url: str) -> dict[str, Any]:
    """Return the part of OpenCode's configuration that offers the model at `base_url` and makes it the default.

    It sets `model`, `small_model` (titles) and `provider.rehearsal` and nothing else: merge it with permissions
    and the rest.
    """
    return {
        "model": QUALIFIED_MODEL,
        "small_model": QUALIFIED_MODEL,
        "provider": {
            PROVIDER: {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Rehearsal (scripted, no real model)",
                "options": {"baseURL": base_url, "apiKey": "none-needed"},
                "models": {MODEL: _model()},
            }
        },
    }


def _model() -> dict[str, Any]:
    return {
        "name": "Rehearsal",
        "tool_call": True,
        "reasoning": True,
        "attachment": False,
        "limit": {"context": 200_000, "output": 32_000},
        "cost": {"input": 1.0, "output": 5.0, "cache_read": 0.1, "cache_write": 1.25},  # dollars per million tokens
    }
