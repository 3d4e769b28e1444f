"""Say whose a store is before it is read, if it is somebody else's."""

import logging
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["tell_owner"]

logger = logging.getLogger(__name__)


def tell_owner(root: Path) -> None:
    """Log a warning if the store's folder belongs to another user; as Git's ``safe.directory``, but it does not refuse.

    Under sudo, the user who called it counts as the same.
    """
    try:
        owner = root.stat().st_uid
    except OSError:
        return  # the opening says what is wrong
    own = os.geteuid()
    caller = os.environ.get("SUDO_UID") if own == 0 else None
    if owner == own or str(owner) == caller:
        return
    logger.warning(
        "%s belongs to %s, and you are %s: its labels, texts and model names are what they wrote",
        root,
        _name(owner),
        _name(own),
    )


def _name(user: int) -> str:
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return f"user {user}"
