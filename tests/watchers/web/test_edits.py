"""Edits: check, difference, confirmation, one commit; conflicts, brakes and lost connections on the way."""

import pytest

from clusterd import configuration
from clusterd.errors import ConflictError
from clusterd.store.contract import Delete, Modified, Put
from tests.watchers.web.rig import Browser, Rig

RS1 = "/virtuals/web/servers/rs1"
MAIL = {"f:address": "1.2.3.9/24", "f:interface": "eth0", "f:port": "25"}


async def weight(rig: Rig, server: str = "rs1") -> int:
    return (await rig.committed()).cluster.virtuals["web"].servers[server].weight


async def reviewing(rig: Rig, path: str = RS1, user: str = "operator", **typed: str | None) -> Browser:
    """Return a browser that shows what its change of a form would do."""
    browser = await rig.logged_in(user)
    await browser.get(path)
    await browser.send("Show what changes", **(typed or {"f:weight": "5"}))
    return browser


async def test_a_change_is_shown_agreed_to_and_then_one_commit(rig: Rig) -> None:
    browser = await reviewing(rig)
    assert "~ virtuals/web/servers/rs1/weight: 2 -&gt; 5" in browser.page
    assert await weight(rig) == 2
    done = await browser.send("Commit", message="another processor")
    assert (done.status_code, done.headers["location"]) == (303, f"{RS1}?done=2")
    assert await weight(rig) == 5
    record = await configuration.record(rig.others, rig.keys, 2)
    assert record
    assert record.message == "another processor"
    assert str(record.author) == "operator@192.0.2.1 (console on web1)"
    await browser.get(f"{RS1}?done=2")
    assert 'Committed: <a href="/history/2">' in browser.page
    assert 'name="f:weight" value="5"' in browser.page


async def test_a_viewer_looks_and_cannot_edit(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    await browser.get(RS1)
    assert "Show what changes" not in browser.page
    assert "Drain …" not in browser.page
    token = browser.page.split('name="form_token" value="')[1][:64]
    fields = {"form_token": token, "seen": "1", "as": "form", "f:weight": "5", "step": "commit", "shown": "1"}
    for path in (RS1, "/settings", "/document", "/new/router"):
        assert (await browser.post(path, fields)).status_code == 403
    assert (await browser.post("/history/1/rollback", fields)).status_code == 403
    assert (await rig.committed()).number == 1


async def test_a_wrong_value_is_told_at_its_field_and_what_was_typed_stays(rig: Rig) -> None:
    browser = await reviewing(rig, **{"f:weight": "many", "f:address": "192.168.1.77"})
    assert browser.status == 422
    assert 'href="#f-weight"' in browser.page
    assert 'id="f-weight" name="f:weight" value="many"' in browser.page
    assert 'value="192.168.1.77"' in browser.page
    assert 'aria-invalid="true"' in browser.page
    assert "a whole number is expected, not &#39;many&#39;" in browser.page
    await browser.send("Show what changes", **{"f:weight": "9"})
    assert browser.status == 200
    assert "weight: 2 -&gt; 9" in browser.page


async def test_one_can_go_back_to_the_form_and_nothing_typed_is_lost(rig: Rig) -> None:
    browser = await reviewing(rig)
    await browser.send("Back to the form", message="for the sale")
    assert 'name="f:weight" value="5"' in browser.page
    await browser.send("Show what changes", **{"f:weight": "6"})
    assert 'id="message" name="message" value="for the sale"' in browser.page


async def test_nothing_changed_is_said(rig: Rig) -> None:
    browser = await reviewing(rig, **{"f:weight": "2"})
    assert "nothing to change: this is what commit 1 left" in browser.page


async def test_a_brake_needs_a_tick(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/virtuals/web")
    await browser.send("Remove")
    assert "this takes 3 of 3 real servers out of service" in browser.page
    await browser.send("Commit")
    assert "a brake holds this: tick the box to commit it anyway" in browser.page
    assert (await rig.committed()).number == 1
    done = await browser.send("Commit", force="on")
    assert done.headers["location"] == "/virtuals?done=2"
    assert not (await rig.committed()).cluster.virtuals


async def test_what_another_one_changed_elsewhere_is_merged_and_said(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    await rig.change("virtuals/web/servers/rs2/weight", 7)
    await browser.send("Show what changes", **{"f:weight": "5"})
    assert "Yours was merged with that" in browser.page
    assert (
        "commit 2 by bob@r2 at 2026-01-31T12:00:00.000Z (bob&#39;s reason): virtuals/web/servers/rs2/weight 1 -&gt; 7"
        in (browser.page)
    )
    assert (await browser.send("Commit")).status_code == 303
    assert (await weight(rig), await weight(rig, "rs2")) == (5, 7)


async def test_a_contradiction_is_shown_with_what_the_other_did_and_then_decides(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    await rig.change("virtuals/web/servers/rs1", {"address": "192.168.1.1", "weight": 7, "upper_threshold": 9})
    await browser.send("Show what changes", **{"f:weight": "5"})
    assert browser.status == 409
    assert "Somebody else committed what contradicts this" in browser.page
    assert "yours is 5, theirs is 7, it was 2" in browser.page
    assert 'name="f:weight" value="5"' in browser.page
    assert 'name="f:upper_threshold" value="9"' in browser.page
    await browser.send("Show what changes")
    assert "~ virtuals/web/servers/rs1/weight: 7 -&gt; 5" in browser.page
    assert "upper_threshold" not in browser.page.split("What it changes")[1].split("</section>")[0]
    await browser.send("Commit")
    server = (await rig.committed()).cluster.virtuals["web"].servers["rs1"]
    assert (server.weight, server.upper_threshold) == (5, 9)


async def test_a_contradiction_in_a_text_is_shown_in_the_text_of_both(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(f"{RS1}?as=text")
    await rig.change("virtuals/web/servers/rs1", {"address": "192.168.1.1", "weight": 7, "upper_threshold": 9})
    text = "virtuals: {web: {servers: {rs1: {address: 192.168.1.1, weight: 5}}}}  # mine"
    await browser.send("Show what changes", text=text)
    assert browser.status == 409
    assert "rs1: {address: 192.168.1.1, weight: 5, upper_threshold: 9}" in browser.page
    assert "# mine" in browser.page
    await browser.send("Show what changes")
    await browser.send("Commit")
    server = (await rig.committed()).cluster.virtuals["web"].servers["rs1"]
    assert (server.weight, server.upper_threshold) == (5, 9)


async def test_an_edit_of_what_another_one_removed_goes_on_as_a_text(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    await rig.change("virtuals/web/servers/rs1", None)
    await browser.send("Show what changes", **{"f:weight": "5"})
    assert browser.status == 409
    assert "rs1: {address: 192.168.1.1, weight: 5}" in browser.page
    await browser.send("Show what changes")
    await browser.send("Commit")
    assert await weight(rig) == 5


async def test_what_both_made_under_one_name_is_said_at_the_name(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/new/router")
    await rig.change("routers/r9", {"public": "1.2.3.9"})
    await browser.send("Show what changes", **{"name": "r9", "f:public": "1.2.3.8"})
    assert browser.status == 409
    await browser.send("Show what changes")
    assert "there is one of this name already: routers/r9" in browser.page
    await browser.send("Show what changes", name="r8")
    assert (await browser.send("Commit")).headers["location"] == "/routers/r8?done=3"


async def test_together_with_what_another_one_did_it_has_to_be_valid(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/new/virtual")
    await rig.change("virtuals/mail", {"address": "1.2.3.9/24", "interface": "eth0", "port": 25})
    await browser.send("Show what changes", name="post", **MAIL)
    assert browser.status == 409
    assert "Somebody else committed what contradicts this" in browser.page
    assert "tcp 1.2.3.9:25 is already virtuals/" in browser.page


async def test_a_commit_that_came_between_look_and_click_is_looked_at_first(rig: Rig) -> None:
    browser = await reviewing(rig)
    await rig.change("virtuals/web/servers/rs2/weight", 7)
    await browser.send("Commit", message="mine")
    assert "commit 2 came in between: this is what yours would change now" in browser.page
    assert await weight(rig) == 2
    assert 'value="mine"' in browser.page
    assert (await browser.send("Commit")).headers["location"] == f"{RS1}?done=3"


async def test_whoever_is_first_in_the_last_moment_wins_and_it_is_shown_again(rig: Rig) -> None:
    browser = await reviewing(rig)
    transact = rig.etcd.transact

    async def overtaken(*arguments: object) -> object:
        rig.etcd.transact = transact  # type: ignore[method-assign] # once
        await rig.change("virtuals/web/servers/rs2/weight", 7)
        return await transact(*arguments)  # type: ignore[arg-type]

    rig.etcd.transact = overtaken  # type: ignore[method-assign,assignment]
    await browser.send("Commit")
    assert "somebody else committed just now: look again" in browser.page
    assert await weight(rig) == 2
    assert (await browser.send("Commit")).status_code == 303


async def test_while_etcd_is_away_nothing_is_written_and_nothing_typed_is_lost(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    rig.etcd.down = True
    await browser.send("Show what changes", **{"f:weight": "5"})
    assert browser.status == 503
    assert "nothing was written" in browser.page
    assert 'name="f:weight" value="5"' in browser.page
    rig.etcd.down = False
    await browser.send("Show what changes")
    assert (await browser.send("Commit")).status_code == 303


async def test_an_answer_that_was_lost_is_looked_up(rig: Rig) -> None:
    browser = await reviewing(rig)
    rig.etcd.answers_lost = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clusterd.configuration.committing.PATIENCE_S", 0.1)
        await browser.send("Commit")
    assert browser.status == 503
    assert "Do not repeat it" in browser.page
    rig.etcd.answers_lost = False
    await browser.send("Commit")
    assert "nothing to change: this is what commit 2 left" in browser.page


async def test_what_was_changed_past_the_commits_is_said_before_it_is_written_back(rig: Rig) -> None:
    key = rig.keys.config_object(1, "routers/r2")
    entry = await rig.others.get(key)
    assert entry
    await rig.others.transact([Modified(key, entry.mod_revision)], [Put(key, b'{"public": "9.9.9.9"}')])
    browser = await reviewing(rig)
    assert "this commit writes back routers/r2" in browser.page


@pytest.mark.parametrize(("button", "drain", "enabled"), [("Drain", True, True), ("Disable", False, False)])
async def test_the_buttons_of_a_real_server_do_what_the_commands_do(
    rig: Rig, button: str, drain: bool, enabled: bool
) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    await browser.send(button)
    assert (await browser.send("Commit")).headers["location"] == f"{RS1}?done=2"
    server = (await rig.committed()).cluster.virtuals["web"].servers["rs1"]
    assert (server.drain, server.enabled) == (drain, enabled)


async def test_objects_are_added(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/virtuals/web/add")
    await browser.send("Show what changes", **{"name": "rs4", "f:address": "192.168.1.4"})
    assert (await browser.send("Commit")).headers["location"] == "/virtuals/web/servers/rs4?done=2"
    await browser.get("/new/virtual")
    await browser.send("Show what changes", name="mail", **MAIL)
    assert (await browser.send("Commit")).headers["location"] == "/virtuals/mail?done=3"
    assert set((await rig.committed()).cluster.virtuals) == {"web", "mail"}


async def test_another_type_of_check_shows_its_fields_and_keeps_what_both_have(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/virtuals/web/check")
    assert 'name="f:path"' in browser.page
    await browser.send("Show its fields", **{"type": "dns", "f:interval_s": "7"})
    assert 'name="f:record"' in browser.page
    assert 'name="f:path"' not in browser.page
    await browser.send("Show what changes", **{"f:name": "www.example.org"})
    await browser.send("Commit")
    check = (await rig.committed()).cluster.virtuals["web"].check
    assert (check.type, check.interval_s) == ("dns", 7)


async def test_both_panels_of_the_cluster_leave_each_others_fields_alone(rig: Rig) -> None:
    browser = await reviewing(
        rig, "/redundancy", **{"f:heartbeat/deadtime_s": "9", "g:sync": "on", "f:sync/interface": "eth1"}
    )
    await browser.send("Commit")
    await browser.get("/settings")
    await browser.send("Show what changes", **{"f:forwarding": "direct", "f:protect": "on"})
    assert (await browser.send("Commit", force="on")).status_code == 303
    kept = (await rig.committed()).cluster.settings
    assert (kept.heartbeat.deadtime_s, kept.forwarding, kept.protect) == (9, "direct", True)
    assert kept.nat_router


async def test_the_whole_document_is_edited_as_text(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/document")
    await browser.send("Show what changes", text="virtuals: {web: {port: many}}\n")
    assert browser.status == 422
    assert "line 1: virtuals/web/port: a whole number is expected" in browser.page
    await browser.send("Show what changes", text="routers: {r5: {public: 1.2.3.5}}\n")
    assert (await browser.send("Commit", force="on")).headers["location"] == "/document?done=2"
    assert set((await rig.committed()).cluster.routers) == {"r5"}


async def test_one_goes_back_to_an_earlier_commit_after_having_seen_what_that_changes(rig: Rig) -> None:
    await rig.change("virtuals/web/servers/rs1/weight", 9)
    await rig.sight.look()
    browser = await rig.logged_in("operator")
    await browser.get("/history/1")
    await browser.send("Go back to commit 1")
    assert "~ virtuals/web/servers/rs1/weight: 9 -&gt; 2" in browser.page
    await rig.change("virtuals/web/servers/rs2/weight", 8)
    await browser.send("Commit")
    assert "commit 3 came in between" in browser.page
    assert "rs2/weight: 8 -&gt; 1" in browser.page
    assert (await browser.send("Commit")).headers["location"] == "/history/4?done=4"
    record = await configuration.record(rig.others, rig.keys, 4)
    assert record
    assert record.message == "back to commit 1"
    assert (await weight(rig), await weight(rig, "rs2")) == (2, 1)


async def test_there_is_nothing_to_go_back_to_where_nothing_changed_or_was(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    token = {"form_token": browser.page.split('name="form_token" value="')[1][:64]}
    assert (await browser.post("/history/1/rollback", token)).status_code == 409
    assert "nothing to change" in browser.page
    assert (await browser.post("/history/7/rollback", token)).status_code == 422
    rig.etcd.down = True
    assert (await browser.post("/history/1/rollback", token)).status_code == 503


@pytest.mark.parametrize("seen", ["", "x", "99", "1" * 30])
async def test_a_form_about_no_commit_is_refused(rig: Rig, seen: str) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    await browser.send("Show what changes", seen=seen)
    assert browser.status in (400, 422)
    assert (await rig.committed()).number == 1


async def test_where_others_commit_all_the_time_it_is_given_up(rig: Rig) -> None:
    browser = await reviewing(rig)

    async def never(*_: object) -> None:
        raise ConflictError("again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(configuration, "commit", never)
        await browser.send("Commit")
    assert browser.status == 409


async def test_where_both_together_are_not_valid_what_was_typed_stays_as_it_is(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/virtuals/web")
    await rig.change("virtuals/mail", {"address": "1.2.3.9/24", "interface": "eth0", "port": 25})
    await browser.send("Show what changes", **MAIL)
    assert browser.status == 409
    assert "tcp 1.2.3.9:25 is already virtuals/" in browser.page
    assert 'name="f:port" value="25"' in browser.page
    await browser.send("Show what changes", **{"f:port": "26"})
    await browser.send("Commit")
    assert (await rig.committed()).cluster.virtuals["web"].port == 26


async def test_what_is_new_needs_a_name(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get("/new/router")
    await browser.send("Show what changes", name="", **{"f:public": "1.2.3.9"})
    assert browser.status == 422
    assert 'id="name-e">is missing' in browser.page
    assert 'value="1.2.3.9"' in browser.page


async def test_where_everything_is_gone_meanwhile_nothing_is_written(rig: Rig) -> None:
    browser = await rig.logged_in("operator")
    await browser.get(RS1)
    await rig.others.transact((), [Delete(rig.keys.head)])
    await browser.send("Show what changes", **{"f:weight": "5"})
    assert "has no configuration yet" in browser.page
    assert 'name="f:weight" value="5"' in browser.page
