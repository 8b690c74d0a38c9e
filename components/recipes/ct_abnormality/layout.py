"""The volumes of a raw folder: which there are, what they are called, and whose they are."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from components.core.data.quarantine import Unreadable
from components.core.digest import digest_bytes
from components.core.errors import BadInput
from components.core.volumes import dicom
from components.core.volumes.limits import VolumeLimits
from components.core.volumes.metaimage import MetaFile
from components.core.volumes.open import ENDINGS, find_volumes
from components.recipes.ct_abnormality.naming import parse_name

FOLDERS = 3
"""Volumes in fewer folders lie in them by split or by kind, not by patient."""


_UID = re.compile(r"\d+(\.\d+){4,}")


@dataclass(frozen=True)
class Found:
    """One volume. Nothing of it is decoded yet.

    Attributes:
        id: Path below the raw folder without the file's ending; in CT-RATE's tree the name alone.
        path: The file, or the folder of a DICOM series.
        sources: Files that it is made of.
        group: Patient, as far as names or DICOM headers tell; None where they do not.
        grouped_by: What told: `name`, `dicom` or `folder`; empty where nothing did.
        scan: CT-RATE's scan, of which there may be several reconstructions; empty elsewhere.
    """

    id: str
    path: Path
    sources: tuple[Path, ...]
    group: str | None = None
    grouped_by: str = ""
    scan: str = ""


def stem_of(name: str) -> str:
    """A file's name without the ending of a volume, longest ending first (`.nii.gz`)."""
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def find(raw: Path, include: Sequence[str], exclude: Sequence[str], limits: VolumeLimits) -> list[Found]:
    """List the volumes of a folder by id.

    Args:
        include: Shell patterns of paths below the folder, of which one has to match; `*` matches `/` too.
        exclude: Patterns of which none may match.

    Raises:
        BadInput: There are none, a pattern of `include` matches none, or two have one id.
    """
    if not raw.is_dir():
        raise BadInput("the raw data must be a folder", where=str(raw), remedy="give the folder that holds the volumes")
    paths = {path.relative_to(raw).as_posix(): path for path in find_volumes(raw)}
    for pattern in include:
        if paths and not any(fnmatchcase(name, pattern) for name in paths):
            raise BadInput(
                f"data.include {pattern!r} matches none of {len(paths)} volumes",
                where=", ".join(list(paths)[:5]),
                remedy="correct the pattern: it is compared with paths like these",
            )
    wanted = {
        name: path
        for name, path in paths.items()
        if any(fnmatchcase(name, one) for one in include) and not any(fnmatchcase(name, one) for one in exclude)
    }
    if not wanted:
        raise BadInput(
            f"no volumes were found ({len(paths)} were left out by data.include and data.exclude)"
            if paths
            else "no volumes were found",
            where=str(raw),
            remedy=f"give files that end with {', '.join(ENDINGS)}, or folders of DICOM files",
        )
    found = _unique([_found(name, path, limits) for name, path in wanted.items()])
    return _by_folder(raw, found)


def _found(name: str, path: Path, limits: VolumeLimits) -> Found:
    if path.is_dir():
        files = tuple(dicom.list_files(path))
        patient = dicom.patient_of(files[0])
        # The dataset shall not spell who somebody is.
        group = f"patient-{digest_bytes(patient.encode())[:12]}" if patient else None
        return Found(_readable(name), path, files, group, "dicom" if group else "")
    known = parse_name(stem_of(path.name))
    if known is None:
        return Found(stem_of(name), path, _files(path, limits))
    return Found(stem_of(path.name), path, _files(path, limits), known.patient, "name", known.scan)


def _readable(name: str) -> str:
    """A folder's path with a short digest in the place of the UIDs in it: `LIDC-IDRI-0001/4f0c2d1e`."""
    parts = [part for part in name.split("/") if part != "."]
    words = [part for part in parts if not _UID.fullmatch(part)]
    short = [] if len(words) == len(parts) and words else [digest_bytes(name.encode())[:8]]
    return "/".join([*words, *short])


def _files(path: Path, limits: VolumeLimits) -> tuple[Path, ...]:
    """A file, and where the voxels are if they are elsewhere."""
    if path.suffix.lower() != ".mhd":
        return (path,)
    try:
        data = MetaFile.open(path, limits).data
    except Unreadable:  # it is reported when it is decoded
        return (path,)
    return (path, data) if data != path else (path,)


def _unique(found: Sequence[Found]) -> list[Found]:
    seen: dict[str, Found] = {}
    for item in sorted(found, key=lambda one: (one.id, one.path)):
        if item.id in seen:
            raise BadInput(
                f"two volumes have the id {item.id!r}",
                where=f"{seen[item.id].path}, {item.path}",
                remedy="rename or remove one, or leave one out by data.exclude",
            )
        seen[item.id] = item
    return list(seen.values())


def _by_folder(raw: Path, found: Sequence[Found]) -> list[Found]:
    """Take the folder below the raw folder for the patient, where all volumes lie in such and nothing else tells."""
    tops = {item.id: item.path.relative_to(raw).parts for item in found}
    folders = Counter(parts[0] for item in found if (parts := tops[item.id])[1:] or item.path.is_dir())
    if len(folders) < FOLDERS or folders.total() < len(found):
        return list(found)
    return [
        item if item.group else replace(item, group=f"folder {tops[item.id][0]}", grouped_by="folder") for item in found
    ]


def names_of(found: Sequence[Found], raw: Path) -> Mapping[str, list[Found]]:
    """Every name by which a table may mean a volume, and the volumes that it may mean.

    That is the id, the path below the raw folder, the file's name with or without its ending, and a folder that holds
    no other volume.
    """
    names: dict[str, list[Found]] = {}
    for item in found:
        relative = item.path.relative_to(raw)
        own = {item.id, relative.as_posix(), stem_of(relative.as_posix()), relative.name, stem_of(relative.name)}
        own |= {folder.as_posix() for folder in relative.parents} | {folder.name for folder in relative.parents}
        for name in own - {"", "."}:
            names.setdefault(name, []).append(item)
    return names
