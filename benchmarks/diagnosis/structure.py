"""Which sign speaks for or against which cause, and how strongly we believed so before any run was seen.

The weights are learned, but only these, and never with another sign: a rebound of the loss cannot become evidence against
a high learning rate, whatever a small sample says. The numbers are the means of the prior, in units of log odds for a sign
that shows fully. Healthy is the reference: it has no signs, a run is healthy where nothing speaks for anything else.
"""

from __future__ import annotations

BIAS = -3.0

PRIOR: dict[str, dict[str, float]] = {
    "healthy": {},
    "resume_artifact": {"steps_back": 8.0, "schedule_replayed": 5.0},
    "postclip_logged": {"norms_bunched": 8.0},
    "fp16_overflow": {"overflows": 7.0, "scale_collapses": -2.0, "ends_nonfinite": -2.0},
    "loss_scale_collapse": {"scale_collapses": 8.0, "zeros_after_nan": 4.0},
    "clip_too_tight": {"mostly_clipped": 5.0, "always_clipped": 2.0, "norms_bunched": -3.0, "norm_quiet": -3.0,
                       "noise_changes": -1.0, "sudden_step": -2.0, "never_learned": 0.5},
    "clip_too_loose": {"spikes_go_through": 6.0, "threshold_out_of_reach": 1.0, "never_learned": -2.0},
    "exploding": {"absurd_events": 2.0, "norm_jumps_up": 5.0, "shock_in_few_rows": 5.0, "grows_before_death": 4.0, "dies_at_once": 3.0, "ends_nonfinite": 1.5, "norm_starts_huge": 5.0,
                  "norm_far_above": 2.0, "norm_wild": 4.0, "loss_explodes": 3.0, "scale_collapses": -4.0, "response_to_jump": -3.0},
    "vanishing": {"never_learned_with_norms": 6.0, "thrown_off": -4.0, "stuck_after_drop": -2.0, "mostly_clipped": -1.0, "norm_starts_huge": -2.0,
                  "ends_nonfinite": -3.0, "above_start": -2.0, "loss_explodes": -4.0},
    "l2_contamination": {"norm_quiet": 6.0, "norm_quieter_than_loss": 2.0},
    "lr_restart": {"response_to_jump": 7.0, "rate_jumps": 1.0},
    "data_shift": {"lasting_step": 4.0, "sudden_step": 2.0, "calm_before_step": 1.5, "sudden_drop": 5.0,
                   "response_to_jump": -4.0, "isolated_events": -1.0, "spikes_go_through": -1.0,
                   "scale_collapses": -4.0, "never_learned": -2.0, "passing_rise": -2.0},
    "batch_size_change": {"burst": -2.0, "never_learned": -2.0, "norm_step_alone": 4.5, "noise_changes": 3.0, "sudden_step": -2.0, "rebounds": -2.0,
                          "isolated_events": -1.0, "norm_quiet": -2.0, "sudden_drop": -3.0, "scale_collapses": -4.0},
    "bad_data": {"shock_in_few_rows": 3.0, "isolated_events": 3.0, "many_isolated_events": 2.0, "events_apart": 1.5,
                 "events_far_apart": 1.5, "burst": 4.5, "spiky_everywhere": -6.0, "passing_rise": 4.0, "thrown_off": -3.0, "stays_raised": -2.0, "absurd_events": -5.0, "stuck_after_drop": -3.0, "progress_lost": -2.0, "never_learned": -2.0,
                 "scale_collapses": -4.0, "spikes_go_through": -1.5, "damage_after_shock": -1.0, "slow_memory": -2.0,
                 "climbs_at_high_rate": -1.0, "lasting_step": -1.0},
    "adam_beta2_lag": {"damage_after_shock": 3.0, "slow_memory": 4.0, "isolated_events": 0.5, "sudden_step": 0.5, "passing_rise": 1.0, "events_far_apart": 0.5,
                       "many_isolated_events": -1.0, "cannot_lag": -6.0, "spikes_go_through": -1.0},
    "lr_too_high": {"thrown_off": 4.0, "absurd_events": 3.0, "climbs_at_high_rate": 3.0, "overshoots_at_once": 0.5, "loss_explodes": 3.0, "spiky_everywhere": 3.0, "rebounds": 1.5, "stays_raised": 1.5, "progress_lost": 1.0,
                    "above_start": 0.5, "stalls_at_high_rate": 2.0, "falls_with_rate": 0.5, "stuck_after_drop": 4.0,
                    "ends_nonfinite": 2.0, "norm_far_above": 1.0, "response_to_jump": -3.0, "sudden_step": -1.5,
                    "spikes_go_through": -2.0, "isolated_events": -0.5, "scale_collapses": -4.0},
    "no_warmup": {"starts_at_peak": 0.3, "overshoot_without_warmup": 4.0, "rough_start_without_warmup": 1.5, "trouble_without_warmup": 2.0,
                  "climbs_at_high_rate": 0.5, "sudden_step": -2.0, "response_to_jump": -3.0, "never_learned": -3.0,
                  "spikes_go_through": -2.0, "isolated_events": -0.5},
}  # fmt: skip
