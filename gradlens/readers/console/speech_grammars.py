"""Grammars of trainers of speech and music."""

from __future__ import annotations

from gradlens.readers.console.grammar import BLANKS, NUMBER, SOME, Fields, Grammar, Line

#: VITS prints its losses without names, in the order of its train.py: discriminator, generator, features, mel, ...
_FLOAT = r"(?:-?\d+\.\d+(?:e[-+]?\d+)?|-?inf|nan)"
_FIRST = rf"(?P<loss_disc>{_FLOAT}), (?P<loss_gen>{_FLOAT}), (?P<loss_fm>{_FLOAT}), (?P<loss_mel>{_FLOAT})"

SPEECH: tuple[Grammar, ...] = (
    Grammar(
        name="vits",
        lines=(
            Line(
                pattern=rf"\[{_FIRST}, (?P<loss_dur>{_FLOAT}), (?P<loss_kl>{_FLOAT}), (?P<step>\d+), (?P<lr>{NUMBER})\]",
                fields=Fields.NAMED,
            ),
            # so-vits-svc, without the duration.
            Line(
                pattern=rf"\bLosses: \[{_FIRST}, (?P<loss_kl>{_FLOAT})\], step: (?P<step>\d+), lr: (?P<lr>{NUMBER})",
                fields=Fields.NAMED,
            ),
        ),
        # The only one of them that falls because the model learns and that has no opponent.
        roles=(("loss", "loss_mel"),),
    ),
    Grammar(
        name="rvc",
        lines=(
            Line(pattern=rf"\bloss_disc=(?={SOME}loss_mel=)(?P<loss_disc>[^,\s]+),\s*"),
            Line(pattern=rf"\bINFO\s+\[(?P<step>\d+), (?P<lr>{NUMBER})\]", fields=Fields.NAMED),
        ),
        roles=(("loss", "loss_mel"),),
    ),
    Grammar(
        name="kaldi-nnet3",
        lines=(
            Line(
                pattern=r"\bobjective function for 'output' for minibatches (?P<step>\d+)-\d+ is "
                rf"(?:{NUMBER} \+ {NUMBER} = )?(?P<objective>{NUMBER}) over",
                fields=Fields.NAMED,
            ),
        ),
        # Kaldi maximises it: a log-likelihood, which rises towards 0.
        negated=(("objective", "-objective"),),
        roles=(("loss", "-objective"),),
    ),
    Grammar(
        name="waveglow",  # Flowtron prints the same
        lines=(Line(pattern=rf"^(?P<step>\d+):\t(?P<loss>{NUMBER})[^\S\n]*$", fields=Fields.NAMED),),
        # Nothing names the number: any trainer's own lines go before, and a few such lines say nothing.
        tier=1,
        least=10,
    ),
    Grammar(
        name="speechbrain",  # its recipes of separation; others name a loss
        lines=(
            Line(
                pattern=rf"^{BLANKS}epoch: (?P<step>\d+), lr: (?P<lr>{NUMBER}) - train si-snr: (?P<train_si_snr>{NUMBER})"
                rf"(?: - valid si-snr: (?P<valid_si_snr>{NUMBER}))?",
                fields=Fields.NAMED,
            ),
        ),
        # The negative of the ratio is what they minimise, and print under its name.
        rename=(("train_si_snr", "train si-snr"), ("valid_si_snr", "valid si-snr")),
        roles=(("loss", "train si-snr"), ("val_loss", "valid si-snr")),
    ),
    Grammar(
        name="demucs",
        lines=(
            Line(pattern=r"\bTrain Summary \| Epoch (?P<step>\d+) \| ", fields=Fields.PIPES),
            Line(
                pattern=rf"\bValid Summary \| Epoch (?P<step>\d+) \| Loss=(?P<val_loss>{NUMBER})", fields=Fields.NAMED
            ),
        ),
        # Its solver averages the norm over the epoch, as it does the losses.
        facts=frozenset({"averaged"}),
        roles=(("grad_norm", "Grad"),),
    ),
)
