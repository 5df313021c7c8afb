"""A real receiver gets what a real session did, over kill -9 of the server."""

import json
import signal
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.adapters.receiver import Receiver
from tests.e2e.server import Server, repository, until


def test_a_message_survives_kill_9_and_arrives_signed(stopped: Server) -> None:
    config = stopped.root / "home" / "config" / "fleet" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('webhook_networks = ["127.0.0.1"]\n')
    with Receiver(500).listening() as receiver:
        stopped.start()
        stopped.refused(422, "webhook_url_refused", "POST", "/webhooks", {"url": "http://10.0.0.1/x"})
        registered = stopped.call("POST", "/webhooks", {"url": receiver.url, "events": ["session.finished"]})
        webhook_id = registered["webhook"]["id"]
        item = stopped.create(repository(stopped.root / "project"), 'say "Done."')
        stopped.settled(item["id"])

        def failed() -> Any:
            return [each for each in stopped.call("GET", f"/webhooks/{webhook_id}/deliveries") if each["attempts"]]

        (before,) = until(failed, "the first attempt")
        stopped.end(signal.SIGKILL)
        receiver.meets = [204]
        stopped.start()
        until(lambda: stopped.call("GET", f"/webhooks/{webhook_id}")["deliveredAt"], "the delivery")
        (after,) = stopped.call("GET", f"/webhooks/{webhook_id}/deliveries")
        assert (after["id"], after["outcome"]) == (before["id"], "delivered")
        headers, body = receiver.got[-1]
        Webhook(registered["secret"]).verify(body, headers)
        assert {headers["webhook-id"] for headers, _ in receiver.got} == {before["id"]}
        assert json.loads(body)["data"]["session"]["id"] == item["id"]
        assert stopped.end() == 0
    everything = stopped.log.read_bytes() + b"".join(
        file.read_bytes() for file in stopped.data.rglob("*") if file.is_file() and file.parent.name != "webhooks"
    )
    for hidden in (registered["secret"], "/secret/path"):
        assert hidden.encode() not in everything
