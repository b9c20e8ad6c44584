"""How to set a clipping threshold in the usual frameworks, ready to paste."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def _short(threshold: float) -> str:
    return f"{threshold:g}"


SNIPPETS: Mapping[str, Callable[[str], str]] = {
    "pytorch": lambda c: (
        "# after backward(); with a GradScaler after unscale_(optimizer)\n"
        f"torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm={c})\n"
        "optimizer.step()"
    ),
    "transformers": lambda c: f"TrainingArguments(..., max_grad_norm={c})",
    "lightning": lambda c: f'Trainer(..., gradient_clip_val={c}, gradient_clip_algorithm="norm")',
    "deepspeed": lambda c: f'{{"gradient_clipping": {c}}}',
    "megatron-lm": lambda c: f"--clip-grad {c}",
    "torchtitan": lambda c: f"[training]\nmax_norm = {c}",
    "optax": lambda c: f"optimizer = optax.chain(optax.clip_by_global_norm({c}), optimizer)",
}


def snippets(threshold: float) -> dict[str, str]:
    """The line to paste by framework."""
    return {name: make(_short(threshold)) for name, make in SNIPPETS.items()}
