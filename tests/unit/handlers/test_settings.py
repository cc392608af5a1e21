"""kopf is set so that it only watches."""

from collections.abc import AsyncIterator

import kopf
import pytest

from assay.handlers import registry, settings
from assay.handlers.session import Progress, _Tapped
from assay.handlers.storage import NullDiffBase, NullProgress


def test_nothing_by_which_kopf_writes_is_enabled() -> None:
    built = settings.build()
    assert built.peering.standalone
    assert not built.posting.enabled
    assert isinstance(built.persistence.diffbase_storage, NullDiffBase)
    assert isinstance(built.persistence.progress_storage, NullProgress)
    assert built.process.ultimate_exiting_timeout is None
    assert built.queueing.worker_limit is None


def test_kopf_gives_up_a_request_before_the_supervisor_gives_up_kopf() -> None:
    from assay.handlers.supervisor import _GIVEN_UP_S

    backoffs = settings.build().networking.error_backoffs
    assert isinstance(backoffs, tuple)
    connect_s = settings.build().networking.connect_timeout
    assert connect_s is not None
    assert max(backoffs) + connect_s < _GIVEN_UP_S


def test_storages_store_nothing_and_see_no_difference() -> None:
    body = kopf.Body({"metadata": {"annotations": {"kopf.zalando.org/last-handled-configuration": "forged"}}})
    patch = kopf.Patch()
    diffbase, progress = NullDiffBase(), NullProgress()
    essence = diffbase.build(body=body)
    diffbase.store(body=body, patch=patch, essence=essence)
    progress.store(body=body, patch=patch)
    progress.purge(body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    assert (essence, diffbase.fetch(body=body), progress.fetch(body=body)) == ({}, None, None)
    assert progress.clear(essence=essence) == essence
    assert not patch


@pytest.mark.asyncio
async def test_the_registry_holds_a_login_and_event_handlers_that_only_forward() -> None:
    heard: list[tuple[str | None, object]] = []

    async def login(**_: object) -> kopf.AiohttpSession:
        raise AssertionError("not called here")

    def sink(kind: str | None, obj: object) -> None:
        heard.append((kind, obj))

    built = registry.build("assay.dev", "v1alpha1", {"subnets": sink, "scorereports": sink}, login)
    assert [h.id for h in built._watching.get_all_handlers()] == ["watch-subnets", "watch-scorereports"]
    for others in (built._changing, built._spawning, built._indexing, built._webhooks):
        assert list(others.get_all_handlers()) == []
    (handler,) = [h for h in built._watching.get_all_handlers() if h.id == "watch-subnets"]
    result = await handler.fn(event={"type": None, "object": {"kind": "Subnet"}}, patch={}, logger=None)  # type: ignore[misc]
    assert (result, heard) == (None, [(None, {"kind": "Subnet"})])


def test_progress_tells_the_silent_from_the_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("assay.handlers.session.monotonic", lambda: now_s)
    listed: list[str] = []
    progress = Progress(["subnets", "scorereports"], listed.append)
    for plural in ("subnets", "scorereports", "namespaces"):
        progress.listed(plural)
        progress.moved(plural, opened=+1)
    assert listed == ["subnets", "scorereports"]
    now_s += 50
    progress.received("subnets")
    assert progress.silences_s() == {"subnets": 0, "scorereports": 50}
    assert progress.given_up(20) == []
    progress.moved("scorereports", opened=-1)
    now_s += 30
    assert progress.given_up(20) == ["scorereports"]
    progress.moved("scorereports")
    assert progress.given_up(20) == []
    progress.restart()
    assert progress.silences_s() == {"subnets": 0, "scorereports": 0}


@pytest.mark.asyncio
async def test_a_watch_left_behind_by_an_earlier_life_does_not_count_when_it_ends() -> None:
    class Content:
        async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
            while True:
                yield b"x" * size

    progress = Progress(["subnets"], lambda plural: None)
    old = _Tapped(Content(), "subnets", progress).iter_chunked(1)  # type: ignore[arg-type]
    assert await anext(old) == b"x"
    progress.restart()
    new = _Tapped(Content(), "subnets", progress).iter_chunked(1)  # type: ignore[arg-type]
    assert await anext(new) == b"x"
    await old.aclose()
    assert progress.given_up(0) == []
    await new.aclose()
    assert progress.given_up(-1) == ["subnets"]
