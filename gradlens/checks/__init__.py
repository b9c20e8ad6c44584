"""The checks: one file each, one line each here."""

from __future__ import annotations

from collections.abc import Mapping

from gradlens.registry import Entry

CHECKS: Mapping[str, Entry] = {
    "GL001": Entry(target="gradlens.checks.norm_after_clipping:NormAfterClipping", title="norm-after-clipping"),
    "GL002": Entry(target="gradlens.checks.norm_before_unscaling:NormBeforeUnscaling", title="norm-before-unscaling"),
    "GL003": Entry(target="gradlens.checks.placeholder_norm:PlaceholderNorm", title="placeholder-norm"),
    "GL004": Entry(target="gradlens.checks.averaged_norm:AveragedNorm", title="averaged-norm"),
    "GL005": Entry(target="gradlens.checks.sampled_log:SampledLog", title="sampled-log"),
    "GL006": Entry(target="gradlens.checks.gap_in_log:GapInLog", title="gap-in-log"),
    "GL007": Entry(target="gradlens.checks.resumed_log:ResumedLog", title="resumed-log"),
    "GL008": Entry(target="gradlens.checks.mixed_optimizers:MixedOptimizers", title="mixed-optimizers"),
    "GL009": Entry(target="gradlens.checks.thin_evidence:ThinEvidence", title="thin-evidence"),
    "GL010": Entry(target="gradlens.checks.loss_without_meaning:LossWithoutMeaning", title="loss-without-meaning"),
    "GL011": Entry(target="gradlens.checks.likeness:Likeness", title="likeness"),
    "GL101": Entry(target="gradlens.checks.threshold_too_tight:ThresholdTooTight", title="threshold-too-tight"),
    "GL102": Entry(target="gradlens.checks.threshold_out_of_reach:ThresholdOutOfReach", title="threshold-out-of-reach"),
    "GL103": Entry(target="gradlens.checks.high_clip_rate:HighClipRate", title="high-clip-rate"),
    "GL104": Entry(target="gradlens.checks.clip_before_unscale:ClipBeforeUnscale", title="clip-before-unscale"),
    "GL201": Entry(target="gradlens.checks.learning_rate_too_high:LearningRateTooHigh", title="learning-rate-too-high"),
    "GL202": Entry(target="gradlens.checks.warmup_missing:WarmupMissing", title="warmup-missing"),
    "GL203": Entry(target="gradlens.checks.schedule_jump:ScheduleJump", title="schedule-jump"),
    "GL204": Entry(target="gradlens.checks.rate_of_zero:RateOfZero", title="rate-of-zero"),
    "GL205": Entry(target="gradlens.checks.schedule_mismatch:ScheduleMismatch", title="schedule-mismatch"),
    "GL301": Entry(target="gradlens.checks.bad_batch:BadBatch", title="bad-batch"),
    "GL302": Entry(target="gradlens.checks.bad_batch_burst:BadBatchBurst", title="bad-batch-burst"),
    "GL303": Entry(target="gradlens.checks.periodic_bad_batch:PeriodicBadBatch", title="periodic-bad-batch"),
    "GL304": Entry(target="gradlens.checks.data_shift:DataShift", title="data-shift"),
    "GL305": Entry(target="gradlens.checks.batch_size_change:BatchSizeChange", title="batch-size-change"),
    "GL306": Entry(target="gradlens.checks.overfitting:Overfitting", title="overfitting"),
    "GL307": Entry(target="gradlens.checks.validation_lost:ValidationLost", title="validation-lost"),
    "GL401": Entry(target="gradlens.checks.overflow:Overflow", title="overflow"),
    "GL402": Entry(target="gradlens.checks.loss_scale_collapse:LossScaleCollapse", title="loss-scale-collapse"),
    "GL403": Entry(target="gradlens.checks.nonfinite_streak:NonfiniteStreak", title="nonfinite-streak"),
    "GL404": Entry(target="gradlens.checks.nonfinite_value:NonfiniteValue", title="nonfinite-value"),
    "GL405": Entry(target="gradlens.checks.run_turned_nonfinite:RunTurnedNonfinite", title="run-turned-nonfinite"),
    "GL406": Entry(target="gradlens.checks.norm_never_finite:NormNeverFinite", title="norm-never-finite"),
    "GL407": Entry(target="gradlens.checks.trainer_gave_up:TrainerGaveUp", title="trainer-gave-up"),
    "GL408": Entry(target="gradlens.checks.beyond_fp16:BeyondFp16", title="beyond-fp16"),
    "GL501": Entry(target="gradlens.checks.exploding_norm:ExplodingNorm", title="exploding-norm"),
    "GL502": Entry(target="gradlens.checks.vanishing_gradient:VanishingGradient", title="vanishing-gradient"),
    "GL503": Entry(target="gradlens.checks.no_recovery:NoRecovery", title="no-recovery"),
    "GL504": Entry(target="gradlens.checks.loss_oscillation:LossOscillation", title="loss-oscillation"),
    "GL505": Entry(target="gradlens.checks.dominant_layer:DominantLayer", title="dominant-layer"),
    "GL506": Entry(target="gradlens.checks.second_moment_lag:SecondMomentLag", title="second-moment-lag"),
    "GL507": Entry(
        target="gradlens.checks.coupled_weight_penalty:CoupledWeightPenalty", title="coupled-weight-penalty"
    ),
    "GL508": Entry(target="gradlens.checks.norm_spike_alone:NormSpikeAlone", title="norm-spike-alone"),
    "GL509": Entry(target="gradlens.checks.step_too_long:StepTooLong", title="step-too-long"),
    "GL510": Entry(target="gradlens.checks.progress_lost:ProgressLost", title="progress-lost"),
    "GL511": Entry(target="gradlens.checks.loss_stands_still:LossStandsStill", title="loss-stands-still"),
    "GL512": Entry(target="gradlens.checks.layers_differ:LayersDiffer", title="layers-differ"),
    "GL513": Entry(target="gradlens.checks.recurring_spikes:RecurringSpikes", title="recurring-spikes"),
    "GL514": Entry(target="gradlens.checks.nothing_learned:NothingLearned", title="nothing-learned"),
}
