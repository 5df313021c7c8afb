"""Describes the files of a session: those that it changed, and those that came with its prompts."""

import base64
import hashlib

from fleet.core.manifest import Manifest
from fleet.core.session.turn_events import ChangesRecorded
from fleet.core.session.values import Totals
from fleet.evidence import document as doc
from fleet.ports import Attachment


def changes_of(
    manifest: Manifest, recorded: tuple[int, ChangesRecorded] | None, overlaps: tuple[str, ...]
) -> doc.PackedChanges:
    """Return the changed files that the manifest lists; `recorded` is the event that names it, with its position."""
    position, event = recorded or (None, None)
    return doc.PackedChanges(
        position=position,
        manifest_sha256=None if event is None else event.session_manifest,
        totals=Totals() if event is None else event.totals,
        overlaps=overlaps,
        files=tuple(
            doc.PackedFile(
                file=file.file,
                old_file=file.old_file,
                status=file.status,
                additions=file.additions,
                deletions=file.deletions,
                is_binary=file.is_binary,
                is_truncated=file.is_truncated,
                before_sha256=file.before,
                after_sha256=file.after,
            )
            for file in manifest.files
        ),
    )


def attachment_of(file: Attachment) -> doc.Attached:
    """Describe an attachment by its bytes, which a `data:` URL holds."""
    head, _, data = file.url.partition(",")
    try:
        content = base64.b64decode(data) if head.endswith(";base64") else data.encode()
    except ValueError:
        content = data.encode()
    digest = hashlib.sha256(content).hexdigest()
    return doc.Attached(filename=file.filename, mime=file.mime, size_bytes=len(content), sha256=digest)
