"""When a router takes what others wrote into etcd for old."""

from watchers.hearing import Hearing

LEASE_S = 3.0


def test_an_answer_is_good_for_the_time_of_a_lease() -> None:
    hearing = Hearing(100)
    assert not hearing.deaf(103, LEASE_S)
    assert hearing.deaf(103.1, LEASE_S)
    hearing.heard(101, LEASE_S)
    assert not hearing.deaf(104, LEASE_S)


def test_after_a_silence_others_words_are_old_until_their_keys_are_written_anew_or_gone() -> None:
    hearing = Hearing(100)
    for now_s in (160, 161, 163, 165):
        hearing.heard(now_s, LEASE_S)
        assert hearing.deaf(now_s, LEASE_S)
    hearing.heard(166, LEASE_S)
    assert not hearing.deaf(166, LEASE_S)
