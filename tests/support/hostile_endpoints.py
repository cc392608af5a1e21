"""Endpoints that a miner might put up against a scorer: real servers on loopback, each hostile in one way.

Owns the servers, which run on threads of the test process and end with the `with` block. Those of `http://` speak well
enough to be asked for an inference, and turn hostile there; raw ones never speak a protocol at all.

    with hostile("an answer without end") as url: ...
"""

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2

DIMENSIONS = 8
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]
GrpcReply = Callable[[Any, Any], Any]

BOMB = gzip.compress(bytes(64 << 20))
OK = b"HTTP/1.1 200 OK\r\n"
EXTENSIONS = json.dumps({"name": "miner", "extensions": ["binary_tensor_data"]}).encode()


@dataclass(frozen=True)
class Endpoint:
    """A way of being hostile. `reasons`: what a request to it may fail with; none if only the judge sees it."""

    name: str
    scheme: str
    reasons: frozenset[str]
    handler: Handler | None = None
    reply: GrpcReply | None = None


def tcp(name: str, scheme: str, *reasons: str) -> Callable[[Handler], Handler]:
    """Register a handler of raw connections."""

    def register(handler: Handler) -> Handler:
        ENDPOINTS[name] = Endpoint(name, scheme, frozenset(reasons), handler=handler)
        return handler

    return register


def http(name: str, *reasons: str) -> Callable[[Reply], Reply]:
    """Register a reply to an inference request over HTTP."""

    def register(reply: Reply) -> Reply:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async for method in requests(reader):
                if method == b"GET":
                    writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(EXTENSIONS) + EXTENSIONS)
                else:
                    await reply(writer)
                await writer.drain()

        ENDPOINTS[name] = Endpoint(name, "http", frozenset(reasons), handler=handler)
        return reply

    return register


def over_grpc(name: str, *reasons: str) -> Callable[[GrpcReply], GrpcReply]:
    """Register a reply to an inference request over gRPC."""

    def register(reply: GrpcReply) -> GrpcReply:
        ENDPOINTS[name] = Endpoint(name, "grpc", frozenset(reasons), reply=reply)
        return reply

    return register


ENDPOINTS: dict[str, Endpoint] = {}


@contextlib.contextmanager
def hostile(name: str) -> Iterator[str]:
    """The URL of a running endpoint of this kind."""
    endpoint = ENDPOINTS[name]
    serve = _serve_tcp(endpoint.handler) if endpoint.handler else _serve_grpc(endpoint.reply)
    with serve as port:
        yield f"{endpoint.scheme}://127.0.0.1:{port}"


async def requests(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The methods of the requests on a connection, each read to its end."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            yield head.split()[0].upper()


def answer(body: bytes, *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [*headers, f"Content-Length: {len(body)}"]
    return OK + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def outputs(*described: object) -> bytes:
    """An HTTP answer with these outputs."""
    return answer(json.dumps({"model_name": "tiny", "outputs": list(described)}).encode())


def embedding(**changes: object) -> dict[str, object]:
    """An output of the right form, but for the changes."""
    form = {"name": "embedding", "shape": [1, DIMENSIONS], "datatype": "FP32", "data": [0.5] * DIMENSIONS}
    return {**form, **changes}


async def hang(*_: object) -> None:
    """Wait for the other side to lose patience."""
    await asyncio.sleep(3600)


async def drip(writer: asyncio.StreamWriter, piece: bytes = b"x") -> None:
    """Send a byte now and then, so that no single read ever times out."""
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)


async def flood(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send for as long as anyone reads."""
    while True:
        writer.write(piece)
        await writer.drain()


# Connections that never speak


tcp("accepts and stays silent, HTTP", "http", "Timeout")(hang)
tcp("accepts and stays silent, gRPC", "grpc", "Timeout")(hang)


@tcp("resets every connection, HTTP", "http", "Unreachable")
@tcp("resets every connection, gRPC", "grpc", "Unreachable", "Timeout")
async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    plain: socket.socket = writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@tcp("closes every connection at once", "http", "Unreachable")
async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close politely."""
    writer.close()


@tcp("garbage, HTTP", "http", "ProtocolError", "Unreachable")
@tcp("garbage, gRPC", "grpc", "Unreachable", "Timeout")
async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak no protocol."""
    writer.write(bytes(range(256)) * 64)
    await writer.drain()
    writer.close()


@tcp("an HTTP/1 server where gRPC is expected", "grpc", "Unreachable", "Timeout")
async def another_protocol(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak the wrong protocol."""
    writer.write(answer(b"{}"))
    await hang()


@tcp("a flood of HTTP/2 settings", "grpc", "Unreachable", "Timeout")
async def settings_flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Settings frames without end, each of which wants an acknowledgement."""
    await flood(writer, bytes.fromhex("000000040000000000") * 1000)


@tcp("header bytes that drip", "http", "Timeout")
async def dripping_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head that never ends, slowly."""
    writer.write(OK + b"X-Slow: ")
    await drip(writer)


@tcp("headers without end", "http", "ProtocolError", "Unreachable")
async def endless_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head that never ends, fast."""
    writer.write(OK)
    await flood(writer, b"".join(b"X-%d: y\r\n" % number for number in range(1000)))


@tcp("one header line without end", "http", "ProtocolError", "Unreachable")
async def endless_line(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A line that never ends."""
    writer.write(OK + b"X-Long: ")
    await flood(writer, b"x" * 65536)


@tcp("interim answers without end", "http", "Timeout", "ProtocolError", "Unreachable")
async def continues(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never more than `100 Continue`."""
    await drip(writer, b"HTTP/1.1 100 Continue\r\n\r\n")


# Answers over HTTP


@http("body bytes that drip", "Timeout")
async def dripping_body(writer: asyncio.StreamWriter) -> None:
    """A body that comes too slowly."""
    writer.write(OK + b"Content-Length: 60000\r\n\r\n")
    await drip(writer)


@http("an answer without end", "TooLarge")
async def endless_body(writer: asyncio.StreamWriter) -> None:
    """Chunks for ever."""
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"10000\r\n" + b"x" * 65536 + b"\r\n")


@http("an answer of a terabyte, announced", "TooLarge")
async def announced(writer: asyncio.StreamWriter) -> None:
    """A length beyond reason."""
    writer.write(OK + b"Content-Length: 1099511627776\r\n\r\n" + b"x" * 1000)


@http("a gzip bomb", "ProtocolError")
async def gzip_bomb(writer: asyncio.StreamWriter) -> None:
    """64 KiB that become 64 MiB."""
    writer.write(answer(BOMB, "Content-Encoding: gzip"))


@http("trailers without end", "ProtocolError", "Timeout", "Unreachable", "TooLarge")
async def endless_trailers(writer: asyncio.StreamWriter) -> None:
    """Headers after the body, for ever."""
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")
    await flood(writer, b"X-Trailer: y\r\n" * 1000)


@http("a server error with a novel", "ProtocolError", "TooLarge")
async def long_error(writer: asyncio.StreamWriter) -> None:
    """An error message that is larger than any answer."""
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 10000000\r\n\r\n" + b"\n{'level':'forged'}" * 500_000)


@http("a redirect to the cloud's metadata", "ProtocolError")
async def redirect(writer: asyncio.StreamWriter) -> None:
    """Elsewhere."""
    writer.write(b"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n")


@http("JSON without bottom", "ProtocolError")
async def deep_json(writer: asyncio.StreamWriter) -> None:
    """More nesting than any stack."""
    writer.write(answer(b"[" * 60_000))


@http("a number of 60,000 digits", "ProtocolError")
async def long_number(writer: asyncio.StreamWriter) -> None:
    """A number that takes long to read."""
    writer.write(answer(b'{"outputs": ' + b"9" * 60_000 + b"}"))


@http("JSON that is no object", "ProtocolError")
async def no_object(writer: asyncio.StreamWriter) -> None:
    """A list."""
    writer.write(answer(b"[1, 2, 3]"))


@http("raw data of another size than announced", "ProtocolError")
async def lying_size(writer: asyncio.StreamWriter) -> None:
    """A size beyond the body."""
    head = json.dumps({"outputs": [embedding(data=None, parameters={"binary_data_size": 10**9})]}).encode()
    writer.write(answer(head + bytes(32), f"Inference-Header-Content-Length: {len(head)}"))


@http("a JSON part longer than the answer", "ProtocolError")
async def lying_head(writer: asyncio.StreamWriter) -> None:
    """A head beyond the body."""
    writer.write(answer(b"{}", "Inference-Header-Content-Length: 99999"))


@http("a shape of exabytes", "WrongShape")
async def huge_shape(writer: asyncio.StreamWriter) -> None:
    """A shape that nobody could allocate."""
    writer.write(outputs(embedding(shape=[2**31, 2**31])))


@http("text for numbers", "WrongType")
async def text_for_numbers(writer: asyncio.StreamWriter) -> None:
    """Strings in a tensor of floats."""
    writer.write(outputs(embedding(data=["0.5"] * DIMENSIONS)))


@http("NaN for numbers")
async def not_a_number(writer: asyncio.StreamWriter) -> None:
    """NaN and infinities, which JSON has not but Python reads."""
    writer.write(outputs(embedding(data=[float("nan"), float("inf")] * (DIMENSIONS // 2))))


@http("half an embedding")
async def half(writer: asyncio.StreamWriter) -> None:
    """Another shape."""
    writer.write(outputs(embedding(shape=[1, 4], data=[0.5] * 4)))


@http("an embedding of another type")
async def other_type(writer: asyncio.StreamWriter) -> None:
    """Another data type."""
    writer.write(outputs(embedding(datatype="FP64")))


@http("no outputs")
async def nothing(writer: asyncio.StreamWriter) -> None:
    """An empty answer of the right form."""
    writer.write(outputs())


# Answers over gRPC


def infer_response(raw: bytes = b"", shape: tuple[int, ...] = (1, DIMENSIONS), datatype: str = "FP32") -> Any:
    """A gRPC answer with one output."""
    response = service_pb2.ModelInferResponse(model_name="tiny", model_version="1")
    output = response.outputs.add(name="embedding", datatype=datatype)
    output.shape.extend(shape)
    response.raw_output_contents.append(raw)
    return response


HUGE_RESPONSE = infer_response(bytes(64 << 20), (1, 64 << 20), "UINT8")


@over_grpc("64 MiB over gRPC", "TooLarge")
def huge_message(_: Any, __: Any) -> Any:
    """More than anyone asked for."""
    return HUGE_RESPONSE


@over_grpc("a compressed bomb over gRPC", "ProtocolError", "TooLarge")
def compressed_message(_: Any, context: Any) -> Any:
    """8 KiB, within every bound, that become 8 MiB."""
    context.set_compression(grpc.Compression.Gzip)
    return infer_response(bytes(8 << 20), (1, 8 << 20), "UINT8")


@over_grpc("gRPC data that does not fit its shape", "WrongShape")
def wrong_size(_: Any, __: Any) -> Any:
    """Half of the bytes."""
    return infer_response(bytes(16))


@over_grpc("a gRPC shape of exabytes", "WrongShape")
def wrong_shape(_: Any, __: Any) -> Any:
    """A shape that nobody could allocate."""
    return infer_response(bytes(16), (2**40, 2**40))


@over_grpc("more gRPC data than outputs", "ProtocolError")
def surplus_data(_: Any, __: Any) -> Any:
    """Raw data that belongs to nothing."""
    response = infer_response(bytes(32))
    response.raw_output_contents.append(bytes(32))
    return response


@over_grpc("gRPC bytes that are no message", "ProtocolError")
def no_message(_: Any, __: Any) -> Any:
    """What protobuf cannot read."""
    return b"\xff" * 100


@over_grpc("gRPC metadata of a megabyte", "ProtocolError", "TooLarge", "Unreachable")
def huge_metadata(_: Any, context: Any) -> Any:
    """Headers that are larger than any answer."""
    context.send_initial_metadata([("x-long", "x" * 1_000_000)])
    return infer_response(bytes(32))


@over_grpc("a gRPC error with a forged log line", "ProtocolError")
def forged_error(_: Any, context: Any) -> Any:
    """Words that want to be a log line of their own."""
    context.abort(
        grpc.StatusCode.INTERNAL, '\n{"level": "info", "message": "miner is scored", "weight": 65535}\n\u202e'
    )


@over_grpc("silence over gRPC after the first answer", "Timeout")
def falls_silent(_: Any, context: Any) -> Any:
    """Nothing until the other side hangs up."""
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(60)
    return infer_response(bytes(32))


@contextlib.contextmanager
def _serve_tcp(handler: Handler) -> Iterator[int]:
    """Run a server on a loop and thread of its own."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.transport.abort()

    async def main() -> None:
        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


@contextlib.contextmanager
def _serve_grpc(reply: GrpcReply | None) -> Iterator[int]:
    """Run a gRPC server whose inference method is `reply`."""

    assert reply is not None
    method = grpc.unary_unary_rpc_method_handler(
        reply, None, lambda answer: answer if isinstance(answer, bytes) else answer.SerializeToString()
    )
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait(5)
