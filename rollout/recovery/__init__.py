"""Takes into the state what a Terraform that was killed had made and not recorded.

Terraform saves its state at its end, and before that no more often than every 20 seconds. What it made in between is
there, and unknown to the next run, which would make it twice or fail because it is there already. The journal of the
attempt says what was made, with ids, and what was just being made; Terraform's own `import` blocks take it into the
state.
"""
