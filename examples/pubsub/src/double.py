"""As much of Pub/Sub as the example asks for, over gRPC: to try it without a project.

``python -m double`` starts it on loopback, and the example against it.
"""

import os
import queue
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types
from mail import main as example

TOPIC, SUBSCRIPTION = "projects/demo/topics/mail", "projects/demo/subscriptions/mail"


class Double:
    """One topic with one subscription; `acknowledged` is what came back."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[types.PubsubMessage] = queue.Queue()
        self.acknowledged: set[str] = set()
        self.count = 0

    def publish(self, asked: types.PublishRequest, context: grpc.ServicerContext) -> object:
        """Keep the messages, numbered."""
        if asked.topic != TOPIC:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no topic {asked.topic}")
        numbers = []
        for message in asked.messages:
            self.count += 1
            message.message_id = str(self.count)
            numbers.append(message.message_id)
            self.waiting.put(message)
        return types.PublishResponse(message_ids=numbers)

    def stream(
        self, asked: Iterator[types.StreamingPullRequest], context: grpc.ServicerContext
    ) -> Iterator[object]:
        """Hand out what there is, as long as the other side listens."""
        first = next(asked)
        if first.subscription != SUBSCRIPTION:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no subscription {first.subscription}")
        while context.is_active():
            try:
                message = self.waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            received = types.ReceivedMessage(ack_id=f"ack-{message.message_id}", message=message)
            yield types.StreamingPullResponse(received_messages=[received])

    def acknowledge(self, asked: types.AcknowledgeRequest, _: object) -> Empty:
        """Note what was dealt with."""
        self.acknowledged.update(asked.ack_ids)
        return Empty()

    def extend(self, _asked: types.ModifyAckDeadlineRequest, _: object) -> Empty:
        """Let it take longer."""
        return Empty()

    def serve(self) -> tuple[grpc.Server, int]:
        """Start on a free port of this machine."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        reads, writes = types.PublishRequest.deserialize, types.PublishResponse.serialize
        publisher = {"Publish": unary(self.publish, reads, writes)}
        reads, writes = (
            types.StreamingPullRequest.deserialize,
            types.StreamingPullResponse.serialize,
        )
        subscriber = {"StreamingPull": stream(self.stream, reads, writes)}
        for name, method, asked in (
            ("Acknowledge", self.acknowledge, types.AcknowledgeRequest),
            ("ModifyAckDeadline", self.extend, types.ModifyAckDeadlineRequest),
        ):
            subscriber[name] = unary(method, asked.deserialize, Empty.SerializeToString)
        server = grpc.server(ThreadPoolExecutor(8))
        handler = grpc.method_handlers_generic_handler
        server.add_generic_rpc_handlers(
            (
                handler("google.pubsub.v1.Publisher", publisher),
                handler("google.pubsub.v1.Subscriber", subscriber),
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return server, port


def main() -> None:
    """Run both, and tell what was acknowledged."""
    double = Double()
    server, port = double.serve()
    os.environ["PUBSUB_EMULATOR_HOST"] = f"127.0.0.1:{port}"
    sys.argv[1:] = [TOPIC, SUBSCRIPTION]
    example()
    server.stop(grace=1).wait()
    print("acknowledged", *sorted(double.acknowledged))


if __name__ == "__main__":
    main()
