# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Backing up, staging and activating the certificate of an Octopus Server or a Tentacle (decisions 1, 11, 20, 22). Runs on the controller only.

The user's password opens and seals PFX files here, in memory. The host is asked through :class:`Keys`; whatever it says it did
is read back.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import AbstractSet, Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.holder import Holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.opening import opened
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Imported, Keys, Sealed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import BACKUP, STAGED, Entry, Note
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret, one_use_password

VENDOR, PFX, GENERATED = "vendor", "pfx", "generated"


class Outcome(NamedTuple):
    changed: bool
    before: Optional[str]  # thumbprint that was backed up, staged or active
    after: Optional[str]  # None: one that does not exist yet (check mode)
    identity: Optional[Identity]
    source: str
    sentence: str


class Staging(NamedTuple):
    """What is to be staged. ``offer`` reads the user's PFX, and is only called when nothing in the store will do."""

    replaces: str
    adopt: Optional[str]
    source: str
    offer: Callable[[], Identity]
    trusted_by_nobody: Collection[str] = ()


class Keeper:
    def __init__(
        self,
        keys: Keys,
        holder: Holder,
        password: Secret,
        controller: Host,
        backup_dir: Optional[str] = None,
        check: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._keys = keys
        self._holder = holder
        self._password = password
        self._controller = controller
        self._backup_dir = backup_dir
        self._check = check
        self._now = now

    # backed_up ----------------------------------------------------------------------------------------------------

    def backed_up(self, thumbprint: str) -> Outcome:
        """The store holds a PFX that opens, has the key, and is the certificate that is in use."""
        entry = _find(self._keys.entries(), thumbprint)
        kept = self._opened(entry)
        if entry is not None and kept is not None:
            return self._kept(entry, kept, "is backed up already")
        if self._holder.present not in (None, thumbprint):
            raise self._is_another(self._holder.present, thumbprint)
        if self._check:
            # Decision 31: a plan exports no key.
            return Outcome(True, None, thumbprint, None, VENDOR, f"Would export {thumbprint} from {self._holder.name} and back it up.")
        identity = opened(self._keys.export(), self._holder.exported)
        if identity.thumbprint != thumbprint:
            raise self._is_another(identity.thumbprint, thumbprint)
        note = (entry.note if entry else None) or Note(thumbprint, BACKUP, None, self._moment(), "export")
        self._stored(identity, note)
        return Outcome(True, None, thumbprint, identity, note.source, f"{thumbprint} was exported and backed up.")

    def _is_another(self, found: Optional[str], thumbprint: str) -> OctoError:
        return OctoError(
            f"{_start(self._holder.place)} holds {found}, but {thumbprint} was to be backed up. Nothing was stored. {self._holder.doubt}",
            holds=[found],
        )

    # staged -------------------------------------------------------------------------------------------------------

    def staged(self, wish: Staging) -> Outcome:
        """The store holds the one certificate that will take the place of ``wish.replaces``; running again never makes a second one."""
        entries = self._keys.entries()
        self._refuse_stranger(entries, wish)
        adopted = _find(entries, wish.adopt) if wish.adopt else None
        if adopted is not None and adopted.pfx is not None:
            return self._kept(adopted, self._open(adopted), "is in the store already")
        if wish.source == PFX:
            return self._stage_offered(entries, wish)
        if wish.adopt:
            raise OctoError(f"{wish.adopt} was to be adopted, but the store has no PFX of it. It has {_listed(entries)}.")
        return self._stage_made(entries, wish)

    def _refuse_stranger(self, entries: Sequence[Entry], wish: Staging) -> None:
        """What is replaced is what is there; after the activation, what was staged for it is there."""
        present = self._holder.present
        if present in (None, wish.replaces, wish.adopt) or any(
            entry.is_staged_for(wish.replaces) for entry in entries if entry.thumbprint == present
        ):
            return
        raise OctoError(
            f"{_start(self._holder.place)} holds {present}, so nothing was staged to replace {wish.replaces}. Name in `replaces` what it has.",
            holds=[present],
        )

    def _stage_offered(self, entries: Sequence[Entry], wish: Staging) -> Outcome:
        offered = wish.offer()
        self._refuse_unfit(offered, wish)
        entry = _find(entries, offered.thumbprint)
        if entry is not None and entry.is_staged_for(wish.replaces) and self._opened(entry):
            return self._kept(entry, offered, "is staged already")
        rivals = [one for one in entries if one.is_staged_for(wish.replaces) and one.thumbprint != offered.thumbprint]
        self._refuse_trusted(rivals, wish)
        return self._stage(offered, rivals, wish)

    def _stage_made(self, entries: Sequence[Entry], wish: Staging) -> Outcome:
        staged = [(entry, self._opened(entry)) for entry in entries if entry.is_staged_for(wish.replaces)]
        usable = [(entry, identity) for entry, identity in staged if identity is not None]
        if len(usable) > 1:
            names = " and ".join(entry.thumbprint for entry, _identity in usable)
            raise OctoError(f"The store holds {names}, all staged to replace {wish.replaces}. Name the one to adopt in `thumbprint`.")
        if usable:
            return self._kept(*usable[0], "is staged already")
        rivals = [entry for entry, _identity in staged]
        self._refuse_trusted(rivals, wish)
        if self._check:
            said = f"Would make a new certificate ({wish.source}) and stage it to replace {wish.replaces}."
            return Outcome(True, None, None, None, wish.source, said)
        return self._stage(self._made(wish.source), rivals, wish)

    def _made(self, source: str) -> Identity:
        if source == VENDOR:
            return opened(self._keys.generate(), "the new certificate")
        return _certificate.make_server_certificate(self._holder.subject, self._now())

    def _stage(self, identity: Identity, rivals: Sequence[Entry], wish: Staging) -> Outcome:
        said = f"{identity.thumbprint} was staged to replace {wish.replaces}."
        if self._check:
            return Outcome(True, None, identity.thumbprint, identity, wish.source, f"Would stage {identity.thumbprint} to replace {wish.replaces}.")
        for rival in rivals:
            self._keys.drop(rival.thumbprint)
            said += f" {rival.thumbprint}, staged before and trusted by nobody, was deleted."
        self._stored(identity, Note(identity.thumbprint, STAGED, wish.replaces, self._moment(), wish.source))
        return Outcome(True, None, identity.thumbprint, identity, wish.source, said)

    def _refuse_unfit(self, offered: Identity, wish: Staging) -> None:
        if wish.adopt and offered.thumbprint != wish.adopt:
            raise OctoError(
                f"The PFX holds {offered.thumbprint}, but {wish.adopt} was to be adopted. Give the PFX of that one, or leave `thumbprint` out."
            )
        if offered.thumbprint == wish.replaces:
            raise OctoError(f"The PFX holds {offered.thumbprint}, which is the certificate to be replaced. Give the PFX of the new one.")
        concern = _certificate.concern_about_dates(_certificate.read(offered.certificate), self._now())
        if concern:
            raise OctoError(f"The PFX cannot be adopted. {concern}")

    def _refuse_trusted(self, rivals: Sequence[Entry], wish: Staging) -> None:
        """Only what is known to be trusted by nobody may be deleted: the key of what somebody trusts is needed again (decisions 20)."""
        held = [rival for rival in rivals if rival.thumbprint not in wish.trusted_by_nobody or rival.thumbprint == self._holder.present]
        if held:
            raise OctoError(
                f"{held[0].thumbprint} is staged already to replace {wish.replaces}{self._why_unusable(held[0])},"
                " and is not known to be trusted by nobody. Adopt it (name it in `thumbprint`), give the backup_password that opens it,"
                " or, when nobody trusts it, name it in `trusted_by_nobody`.",
                staged=held[0].thumbprint,
            )

    def _why_unusable(self, entry: Entry) -> str:
        try:
            self._open(entry)
        except OctoError as error:
            return f", but cannot be used ({error.message.rstrip('.')})"
        return ""

    # active -------------------------------------------------------------------------------------------------------

    def active(self, new: str, old: str) -> Outcome:
        """``new`` is in the place of ``old``, and that was read. Nothing is restarted here, so each process still presents what it loaded."""
        entries = self._keys.entries()
        if self._check:
            return self._planned(entries, new, old)
        adopted, retired = self._needed(entries, new, "adopted"), self._needed(entries, old, "put back if the import goes wrong")
        source = _source(entries, new)
        if self._holds(new, old) == {new}:
            return Outcome(False, new, new, adopted, source, f"{_start(self._holder.place)} holds {new} already.")
        imported = self._import(adopted)
        if self._found(imported) == new:
            said = f"{new} was imported and read back from {self._holder.place}. {self._holder.afterwards}"
            return Outcome(True, old, new, adopted, source, said)
        raise self._failed_import(new, retired, imported)

    def _planned(self, entries: Sequence[Entry], new: str, old: str) -> Outcome:
        """Decision 31: a plan exports no key. What the tasks before this one would have stored may be missing yet."""
        adopted, source, present = self._opened(_find(entries, new)), _source(entries, new), self._holder.present
        self._refuse_third({present or old}, new, old)
        if present == new:
            return Outcome(False, new, new, adopted, source, f"{_start(self._holder.place)} holds {new} already.")
        said = f"Would import {new}"
        if present is None:
            said += f" unless {self._holder.place} holds it already; a plan exports no key to find out"
        missing = [thumbprint for thumbprint in (new, old) if self._opened(_find(entries, thumbprint)) is None]
        if missing:
            said += f". Before that, the store needs a PFX of {' and of '.join(missing)} that the password opens"
        return Outcome(True, old, new, adopted, source, f"{said}.")

    def _holds(self, new: str, old: str) -> AbstractSet[str]:
        """What is there: one of the two, or what a killed import has left of both."""
        try:
            holds = {opened(self._keys.export(), self._holder.exported).thumbprint}
        except OctoError as error:
            if "holds" not in error.evidence:
                raise
            holds = set(error.evidence["holds"])
        self._refuse_third(holds, new, old)
        return holds

    def _refuse_third(self, holds: AbstractSet[str], new: str, old: str) -> None:
        if not holds <= {old, new}:
            raise OctoError(
                f"{_start(self._holder.place)} holds {' and '.join(sorted(holds))}, neither {old}, which is to be retired, nor {new}. Nothing was"
                f" imported. {self._holder.caution}",
                holds=sorted(holds),
            )

    def _failed_import(self, new: str, retired: Identity, imported: Imported) -> OctoError:
        """Decision 11: what is neither OLD nor NEW is not left there for the next restart."""
        old, found, place, program = retired.thumbprint, self._found(imported), self._holder.place, self._holder.program
        if found == old:
            return OctoError(
                f"The import of {new} had no effect: {place} still holds {old}. {program} says: {imported.said}"
                " Nothing was changed, and it is safe to leave as it is.",
                holds=[old],
            )
        seen = f"{place} then held {found}" if found else f"{place} could not be read back"
        try:
            restored = self._import(retired)
        except OctoError as error:
            restored = Imported(None, error.message)
        if self._found(restored) == old:
            return OctoError(
                f"After the import of {new} {seen}, so {old} was imported again at once and read back:"
                f" {place} holds {old}, as before. {program} says of the first import: {imported.said}",
                holds=[old],
            )
        return OctoError(
            f"After the import of {new} {seen}, and importing {old} again could not be confirmed either."
            f" What {place} holds is not known. {self._holder.meanwhile}"
            f" {program} says: {restored.said} Import {old} by hand from the key store, then run again: what is there is read first.",
            holds=[],
            changed=True,
        )

    def _import(self, identity: Identity) -> Imported:
        password = one_use_password()
        return self._keys.replace(Sealed(_certificate.write_pfx(identity, password), password))

    def _found(self, imported: Imported) -> Optional[str]:
        if imported.read_back is None:
            return None
        try:
            return opened(imported.read_back, "the certificate that was read back").thumbprint
        except OctoError:
            return None

    def _needed(self, entries: Sequence[Entry], thumbprint: str, use: str) -> Identity:
        entry = _find(entries, thumbprint)
        if entry is None or entry.pfx is None:
            raise OctoError(f"{thumbprint} is to be {use}, but the store has no PFX of it. It has {_listed(entries)}. Nothing was imported.")
        return self._open(entry)

    # common -------------------------------------------------------------------------------------------------------

    def _open(self, entry: Entry) -> Identity:
        what = f"{entry.thumbprint}.pfx of the key store"
        identity = _certificate.open_pfx(entry.pfx or b"", self._password, what)
        if identity.thumbprint != entry.thumbprint:
            raise OctoError(f"{what} holds another certificate, {identity.thumbprint}. Move it away, then run again.")
        return identity

    def _opened(self, entry: Optional[Entry]) -> Optional[Identity]:
        if entry is None or entry.pfx is None:
            return None
        try:
            return self._open(entry)
        except OctoError:
            return None

    def _stored(self, identity: Identity, note: Note) -> None:
        """Seal with the user's password, prove that the result opens and is the right one, store it and its copy."""
        pfx = _certificate.write_pfx(identity, self._password)
        self._open(Entry(identity.thumbprint, pfx, note))
        self._keys.put(pfx, note)
        self._copied(identity.thumbprint, pfx)

    def _kept(self, entry: Entry, identity: Identity, how: str) -> Outcome:
        copied = self._copied(entry.thumbprint, entry.pfx or b"")
        more = (" Would copy it to the controller." if self._check else " It was copied to the controller.") if copied else ""
        return Outcome(copied, entry.thumbprint, entry.thumbprint, identity, entry.source, f"{entry.thumbprint} {how}.{more}")

    def _copied(self, thumbprint: str, pfx: bytes) -> bool:
        """Whether the copy on the controller had to be made (or, in check mode, would have to be)."""
        if not self._backup_dir:
            return False
        path = f"{self._backup_dir}/{thumbprint}.pfx"
        if self._opened(Entry(thumbprint, self._controller.read(path), None)):
            return False
        if not self._check:
            self._controller.write_private(path, pfx)
        return True

    def _moment(self) -> str:
        return self._now().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def described(outcome: Outcome, path: str) -> Optional[Dict[str, object]]:
    """The certificate of an outcome as result fields."""
    if outcome.identity is None:
        return None
    facts = _certificate.read(outcome.identity.certificate).row()
    names: Tuple[str, ...] = ("thumbprint", "subject", "signature_algorithm", "key_bits", "not_before", "not_after")
    return {**{name: facts[name] for name in names}, "source": outcome.source, "path": path}


def _find(entries: Sequence[Entry], thumbprint: str) -> Optional[Entry]:
    return next((entry for entry in entries if entry.thumbprint == thumbprint), None)


def _source(entries: Sequence[Entry], thumbprint: str) -> str:
    entry = _find(entries, thumbprint)
    return entry.source if entry else "store"


def _listed(entries: Sequence[Entry]) -> str:
    names: List[str] = [entry.thumbprint for entry in entries if entry.pfx is not None]
    return ", ".join(names) or "none at all"


def _start(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
