"""The server against clients of every kind, over a real socket."""

import asyncio
import contextlib
import errno
import json
import os
import resource
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmsinit.control.connection import MAX_BODY_BYTES
from dmsinit.control.listeners import unix_listener
from dmsinit.control.server import serve
from tests.integration.control.system import Site, System

GET_STATUS = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(None, 2)[1])


async def test_status_has_the_shape_that_scripts_rely_on(site: Site) -> None:
    code, body = await site.get("/v1/status")
    status = json.loads(body)
    assert code == 200
    assert status["state"] == "ready"
    assert status["ready"] is True
    names = ("name", "state", "reason", "pid", "uptime_seconds", "restarts", "memory_bytes", "waiting_for", "last_exit")
    assert all(name in status["services"][0] for name in names)


async def test_events_are_told_as_from_and_to(site: Site) -> None:
    code, body = await site.get("/v1/events")
    assert code == 200
    assert json.loads(body) == {
        "time": "2026-01-01T00:00:00+00:00", "service": "postfix", "from": "starting", "to": "ready",
        "reason": "boot", "detail": "",
    }  # fmt: skip


async def test_an_unknown_service_is_a_problem_that_suggests_the_name(site: Site) -> None:
    code, body = await site.get("/v1/services/openkdim")
    problem = json.loads(body)
    assert code == 404
    assert problem["type"] == "urn:dmsinit:problem:no-such-service"
    assert problem["suggestion"] == "opendkim"
    assert "did you mean opendkim" in problem["detail"]


async def test_a_failed_operation_carries_the_last_log_lines(site: Site) -> None:
    code, body = await site.get("/v1/services/opendkim/reload?wait=true", "POST")
    problem = json.loads(body)
    assert code == 409
    assert problem["log"] == [f"line {number}" for number in range(180, 200)]


async def test_a_wrong_configuration_is_told_problem_by_problem(site: Site) -> None:
    site.system.broken_configuration = True
    code, body = await site.get("/v1/plan")
    assert code == 422
    assert json.loads(body)["problems"] == [
        {"where": "postfix-virtual.cf:3", "cause": "no target", "remedy": "write alias target"}
    ]


@pytest.mark.parametrize(
    ("target", "method", "code"),
    [
        ("/v1/nothing", "GET", 404),
        ("/", "GET", 404),
        ("/v1/services/postfix/restart", "GET", 405),
        ("/v1/status", "DELETE", 405),
        ("/v1/services/postfix/logs?lines=many", "GET", 400),
        ("/v1/services/postfix/logs?lines=-1", "GET", 400),
        ("/v1/services/postfix/restart?wait=perhaps", "POST", 400),
        ("/v1/services/postfix/signal", "POST", 400),
        ("/v1/services/%zz", "GET", 400),
        ("/v1/services/%70ostfix", "GET", 200),
        ("http://any.host/v1/status", "GET", 200),
        ("/livez", "GET", 200),
        ("/metrics", "GET", 200),
    ],
)
async def test_each_target_has_its_status(site: Site, target: str, method: str, code: int) -> None:
    assert (await site.get(target, method))[0] == code


async def test_head_is_get_without_a_body(site: Site) -> None:
    code, body = await site.get("/v1/status", "HEAD")
    assert (code, body) == (200, b"")


async def test_not_ready_says_what_is_missing(site: Site) -> None:
    site.system.missing = ["postfix is starting"]
    code, body = await site.get("/readyz")
    assert (code, body) == (503, b"not ready\npostfix is starting\n")


async def test_openmetrics_is_given_to_those_who_ask(site: Site) -> None:
    request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\nConnection: close\r\n\r\n"
    answer = await site.ask(request)
    assert b"application/openmetrics-text; version=1.0.0" in answer
    assert answer.endswith(b"# EOF\n")


async def test_without_wait_the_answer_is_accepted(site: Site) -> None:
    assert (await site.get("/v1/services/postfix/restart", "POST"))[0] == 202
    assert site.system.asked == [("postfix", "restart", False)]


async def test_one_connection_serves_many_requests_and_pipelined_ones(site: Site) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await site.ask(request * 3 + GET_STATUS)
    assert answer.count(b"HTTP/1.1 200") == 4


async def test_http_1_0_with_a_half_closed_connection_is_answered(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(b"GET /livez HTTP/1.0\r\n\r\n")
    writer.write_eof()
    assert (await reader.read()).endswith(b"alive\n")
    writer.close()


async def test_the_socket_is_for_owner_and_group_alone(site: Site) -> None:
    assert stat.S_IMODE(site.path.stat().st_mode) == 0o660


async def test_members_of_the_group_may_read_and_not_operate(public_path: Path) -> None:
    if os.getuid() != 0:
        pytest.fail("this test changes its identity: run it as root")
    site = Site(public_path / "control.sock", System())
    site.api._group_id = 4711
    listener = unix_listener(site.path, group_id=4711)
    site.path.chmod(0o666)  # the kernel's check out of the way, to see ours
    server = asyncio.ensure_future(serve(listener, site.api.control))

    async def as_user(*groups: int, arguments: str) -> int:
        script = (
            "import sys; from dmsinit.control.client import request;"
            "print(request(sys.argv[2], sys.argv[3], path=sys.argv[1]).status)"
        )
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--reuid=1234", "--regid=1234", "--groups=" + ",".join(map(str, groups)),
            "/usr/bin/python3", "-c", script, str(site.path), *arguments.split(),
            stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        output, _ = await process.communicate()
        return int(output)

    assert await as_user(4711, 99, arguments="GET /v1/status") == 200
    assert await as_user(4711, arguments="POST /v1/services/postfix/restart") == 403
    assert await as_user(99, arguments="GET /v1/status") == 403
    assert site.system.asked == []
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


# Clients that misbehave


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    ],
)
async def test_garbage_is_refused_with_a_problem(site: Site, request_: bytes, code: int) -> None:
    answer = await site.ask(request_)
    assert status_of(answer) == code
    assert b"application/problem+json" in answer


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    garbage=st.binary(max_size=300)
    | st.from_regex(rb"(GET|POST) /[a-z/?=%&0-9]{0,60} HTTP/1\.[01]\r\n[a-z:\r\n]{0,40}\r\n\r\n")
)
async def test_no_bytes_whatever_disturb_the_server(site: Site, garbage: bytes) -> None:
    reader, writer = await site.connect()
    writer.write(garbage)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert (await site.get("/livez"))[0] == 200


async def taken_of(writer: asyncio.StreamWriter, size: int) -> int:
    """Send `size` bytes and return how many were taken before the server hung up."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < size:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536
    return sent


async def test_a_request_of_a_gigabyte_is_refused_unread(site: Site) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader, writer = await site.connect()
    writer.write(b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
    assert status_of(await reader.readuntil(b"\r\n\r\n")) == 413
    taken = await taken_of(writer, 2**30)
    assert taken < 16 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB
    writer.close()


async def test_a_body_in_chunks_without_an_end_is_refused(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    for _ in range(MAX_BODY_BYTES // 0x4000 + 1):
        writer.write(chunk)
    assert status_of(await reader.readuntil(b"\r\n\r\n")) == 413
    writer.close()
    assert site.system.asked == []


async def test_a_small_body_is_read_and_ignored_after_100_continue(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(
        b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    assert status_of(await reader.readuntil(b"\r\n\r\n")) == 100
    writer.write(b"{}")
    assert status_of(await reader.read()) == 200
    writer.close()


async def test_a_head_that_trickles_is_hung_up_on(hasty_site: Site) -> None:
    answer = await hasty_site.ask(b"GET /livez HTTP/1.1\r\nHo")
    assert status_of(answer) == 408


async def test_a_client_that_says_nothing_is_hung_up_on(hasty_site: Site) -> None:
    assert await hasty_site.ask(b"") == b""


async def test_a_body_that_never_comes_is_hung_up_on(hasty_site: Site) -> None:
    assert status_of(await hasty_site.ask(b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")) == 408


async def test_a_follower_that_does_not_read_is_let_go(hasty_site: Site) -> None:
    system = hasty_site.system
    system.lines = ["x" * 4000] * 200
    _, writer = await hasty_site.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of a socket has it
    writer.write(b"GET /v1/services/postfix/logs?follow=true&lines=200 HTTP/1.1\r\nHost: x\r\n\r\n")
    await system.left.wait()
    assert system.followers == 0
    writer.close()


async def test_a_follower_that_goes_away_frees_everything(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(b"GET /v1/services/postfix/logs?follow=true&lines=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b'{"line":"line 199"}\n')
    assert site.system.followers == 1
    writer.close()
    await site.system.left.wait()
    assert site.system.followers == 0
    assert site.api.followers == 0


async def test_followers_are_bounded_and_leave_room_for_others(site: Site) -> None:
    clients = [await site.connect() for _ in range(64)]
    for reader, writer in clients:
        writer.write(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"}\n")
    assert (await site.get("/v1/events?follow=true"))[0] == 503
    assert (await site.get("/v1/status"))[0] == 200
    for _, writer in clients:
        writer.close()


async def test_an_operation_goes_on_when_its_client_has_gone(site: Site) -> None:
    _, writer = await site.connect()
    writer.write(b"POST /v1/services/postfix/reload?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
    await site.system.entered.wait()
    writer.transport.abort()
    site.system.may_finish.set()
    await site.system.finished.wait()
    assert (await site.get("/livez"))[0] == 200


async def test_a_defect_in_a_call_is_told_and_survived(tmp_path: Path) -> None:
    class Defective(System):
        def livez(self) -> tuple[bool, list[str]]:
            raise ZeroDivisionError

    site = Site(tmp_path / "control.sock", Defective())
    server = asyncio.ensure_future(serve(unix_listener(site.path), site.api.control))
    assert (await site.get("/livez"))[0] == 500
    assert [type(error) for error in site.defects] == [ZeroDivisionError]
    assert (await site.get("/readyz"))[0] == 200
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


# Many clients, few descriptors


async def test_a_thousand_clients_at_once_are_all_answered(site: Site) -> None:
    raise_descriptor_limit(4096)
    answers = await asyncio.gather(*(site.get("/v1/status") for _ in range(1000)))
    assert {code for code, _ in answers} == {200}


async def test_silent_clients_do_not_keep_others_out_for_long(hasty_site: Site) -> None:
    raise_descriptor_limit(4096)
    silent = [await hasty_site.connect() for _ in range(40)]
    assert (await hasty_site.get("/livez"))[0] == 200
    for _, writer in silent:
        writer.close()


def raise_descriptor_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def take_all_descriptors(taken: list[int]) -> None:
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE  # noqa: PT017 -- the loop ends with exactly this error


async def test_without_descriptors_accepting_rests_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmsinit.control.server.RETRY_SECONDS", 0.2)
    site = Site(tmp_path / "control.sock", System())
    server = asyncio.ensure_future(serve(unix_listener(site.path), site.api.control))
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    await asyncio.sleep(0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 64, limits[1]))
    try:
        take_all_descriptors(taken)
        client.connect(str(site.path))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        await asyncio.sleep(0.5)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 0.2
        assert not server.done()
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, GET_STATUS)
    assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 200")
    client.close()
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)


async def test_the_clients_that_are_there_can_be_counted(tmp_path: Path) -> None:
    site = Site(tmp_path / "control.sock", System())
    clients: set[socket.socket] = set()
    server = asyncio.ensure_future(serve(unix_listener(site.path), site.api.control, clients=clients))
    reader, writer = await site.connect()
    writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert len(clients) == 1
    writer.close()
    async with asyncio.timeout(100):
        while clients:  # noqa: ASYNC110 -- the server has yet to see that the client has gone
            await asyncio.sleep(0)
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
