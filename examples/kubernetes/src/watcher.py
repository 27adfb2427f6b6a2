"""Tell what happens to the pods of a namespace, as it happens.

In a pod it asks the cluster that it is in, as the pod's service account; with
``KUBERNETES_API`` it asks that address, without credentials.
"""

import os

from kubernetes import client, config, watch


def connect() -> client.CoreV1Api:
    """Find the API."""
    address = os.environ.get("KUBERNETES_API")
    if address:
        return client.CoreV1Api(client.ApiClient(client.Configuration(host=address)))
    config.load_incluster_config()
    return client.CoreV1Api()


def follow(api: client.CoreV1Api, namespace: str) -> None:
    """Print each event until the API ends the stream."""
    pods = api.list_namespaced_pod(namespace)
    print(f"{namespace}: {len(pods.items)} pods", flush=True)
    since = pods.metadata.resource_version
    events = watch.Watch().stream(
        api.list_namespaced_pod, namespace, resource_version=since, timeout_seconds=60
    )
    for event in events:
        pod = event["object"]
        print(f"{event['type']} {pod.metadata.name}: {pod.status.phase}", flush=True)


if __name__ == "__main__":
    follow(connect(), os.environ.get("NAMESPACE", "default"))
