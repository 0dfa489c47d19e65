"""Which catalogues members are told of: both live epochs, each change once, nobody who is not a member."""

from __future__ import annotations

from gateway.links import Link
from gateway.notices import Notices
from gateway.store import CatalogueName

ALL = {"police", "schools"}


def name(epoch: int = 1, custodian: str = "police", collection: str = "involvement") -> CatalogueName:
    return CatalogueName(custodian, collection, epoch)


def test_two_epochs_are_live_and_an_older_one_goes_with_the_next() -> None:
    notices = Notices()
    for epoch in (1, 2):
        notices.put(name(epoch), 5)
    notices.put(name(collection="protected"), 1)
    assert set(notices.all(ALL)) == {name(1), name(2), name(collection="protected")}

    notices.put(name(3), 1)

    assert notices.all(ALL) == {name(2): 5, name(3): 1, name(collection="protected"): 1}
    assert name(1) not in notices.take_untold(ALL)
    notices.put(name(1), 9)  # a delta of an epoch that is over
    assert name(1) not in notices.all(ALL)


def test_each_change_is_told_once_and_a_version_never_goes_back() -> None:
    notices = Notices()
    notices.put(name(), 2)
    assert notices.take_untold(ALL) == {name(): 2}
    assert notices.take_untold(ALL) == {}

    notices.put(name(), 1)
    assert notices.take_untold(ALL) == {}
    notices.put(name(), 2)  # somebody more was granted its key
    assert notices.take_untold(ALL) == {name(): 2}


def test_a_custodian_that_is_no_member_is_not_named_and_is_again_once_it_is_one() -> None:
    notices = Notices()
    notices.put(name(), 1)
    notices.put(name(custodian="schools"), 1)
    assert notices.take_untold({"schools"}) == {name(custodian="schools"): 1}

    notices.repeat({"police"})

    assert notices.take_untold(ALL) == {name(): 1}


async def test_notices_that_have_not_gone_out_make_one_frame_behind_the_directory() -> None:
    link = Link("social", capacity=4, owed=4)
    link.show_catalogues({name(): 1})
    link.show_catalogues({name(2): 1, name(): 2})

    frame = await link.next_frame()

    assert frame is not None
    assert [(n.epoch, n.version) for n in frame.notices.notices] == [(1, 2), (2, 1)]


async def test_a_link_without_any_catalogue_is_told_so() -> None:
    link = Link("social", capacity=4, owed=4)
    link.show_catalogues({})

    frame = await link.next_frame()

    assert frame is not None
    assert frame.WhichOneof("frame") == "notices"
