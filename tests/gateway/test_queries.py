"""Query parameters are taken for what they say."""

from tests.gateway.machine import Api


async def test_null_is_a_text_in_a_text_parameter(api: Api) -> None:
    await api.session(title="null and void", tags=["null"])
    await api.session(title="other")
    for query in ("search=null", "tag=null"):
        found = (await api.send("GET", f"/api/sessions?{query}")).json
        assert [item["title"] for item in found] == ["null and void"], query
    assert (await api.send("GET", "/api/sessions?workspace=null")).json == []


async def test_null_is_refused_for_a_number_or_an_enum_parameter(api: Api) -> None:
    session_id = (await api.session())["id"]
    for path in (
        f"sessions/{session_id}?at=null",
        f"sessions/{session_id}/diffs?at=null",
        "callbacks?status=null",
        "log/export?through=null",
    ):
        problem = (await api.send("GET", f"/api/{path}")).problem(422, "invalid")
        assert problem["field"] in path
