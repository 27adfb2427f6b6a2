"""Publish a few messages to a topic, and take them from a subscription.

``mail TOPIC SUBSCRIPTION WORD...``. With ``PUBSUB_EMULATOR_HOST`` set, the library asks that
address without credentials.
"""

import sys
from concurrent.futures import TimeoutError as TooLate
from threading import Event

from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber.message import Message

PATIENCE = 300.0


def publish(topic: str, words: list[str]) -> None:
    """Send each word as a message, and wait until the service has them."""
    publisher = pubsub_v1.PublisherClient()
    for future in [publisher.publish(topic, word.encode(), lang="en") for word in words]:
        print("published", future.result(PATIENCE))


def receive(subscription: str, count: int) -> list[str]:
    """Take as many messages as were sent; gives their texts."""
    found: list[str] = []
    enough = Event()

    def take(message: Message) -> None:
        found.append(f"{message.data.decode()} ({message.attributes['lang']})")
        message.ack()
        if len(found) == count:
            enough.set()

    with pubsub_v1.SubscriberClient() as subscriber:
        pulling = subscriber.subscribe(subscription, take)
        if not enough.wait(PATIENCE):
            raise TooLate
        pulling.cancel()
        pulling.result(PATIENCE)
    return sorted(found)


def main() -> None:
    """Do both."""
    topic, subscription, *words = sys.argv[1:]
    words = words or ["hello", "world"]
    publish(topic, words)
    print("received", *receive(subscription, len(words)), sep="\n  ")
