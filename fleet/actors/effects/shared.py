"""The effects that more than one actor or use case of a Fleet needs."""

from typing import NamedTuple

from fleet.actors.context import Context
from fleet.actors.effects.callback_erasure import CallbackErasure
from fleet.actors.effects.diffs import DiffEffects
from fleet.actors.effects.erasure import SessionErasure
from fleet.actors.effects.known_offers import KnownOffers
from fleet.actors.effects.model_limits import ModelLimits
from fleet.actors.effects.outside_copies import OutsideCopies
from fleet.actors.effects.placement import Placement
from fleet.actors.effects.rooms import Rooms
from fleet.actors.effects.stored_responses import StoredResponses
from fleet.projections.projections import Projections


class SharedEffects(NamedTuple):
    """The shared effects, one object of each kind."""

    diffs: DiffEffects
    stored_responses: StoredResponses
    erasure: SessionErasure
    placement: Placement
    rooms: Rooms
    model_limits: ModelLimits
    known_offers: KnownOffers


def make_shared_effects(context: Context, projections: Projections) -> SharedEffects:
    """Return the effects over one context."""
    log, views = context.log, context.views
    diffs = DiffEffects(context)
    stored_responses = StoredResponses(log, views)
    caches = (
        projections.setup_outputs,
        projections.transcripts,
        projections.past.sessions,
        diffs.live,
    )
    erasure = SessionErasure(
        log,
        context.blobs,
        views,
        context.inflight,
        stored_responses=stored_responses,
        caches=caches,
        past=projections.past.sessions,
        outside=OutsideCopies(context),
        callbacks=CallbackErasure(context, (projections.transcripts, projections.past.sessions)),
    )
    model_limits = ModelLimits(context, projections.touched)
    known_offers = KnownOffers(context, model_limits)
    return SharedEffects(
        diffs, stored_responses, erasure, Placement(context), Rooms(context), model_limits, known_offers
    )
