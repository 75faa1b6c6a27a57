#!/usr/bin/env python3
"""Writes a container image with nothing but a static program in it, without a daemon.

    image.py PROGRAM ARCHITECTURE VERSION CERTIFICATES ZONES LICENCES OUT.tar

ARCHITECTURE is amd64 or arm64. CERTIFICATES is a PEM file of the authorities that the clients in the program trust, ZONES
a folder of time zones, LICENCES a folder of texts. $SOURCE_DATE_EPOCH is the time of all files.

The result is an image layout of the Open Container Initiative (`podman load`, `skopeo copy oci-archive:`) that `docker load`
understands as well: besides `index.json` it has `manifest.json`, for Docker before version 25.
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile
import time

EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
USER = 10001


def entry(name, kind, mode, owner=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, EPOCH
    info.uid = info.gid = owner
    return info


class Layer:
    """A tar whose bytes depend only on what is put into it."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.USTAR_FORMAT)
        self.directories = set()

    def directory(self, name, mode=0o755, owner=0):
        # The root is not listed: it is there, whatever is in it.
        if name and name not in self.directories:
            self.directory(os.path.dirname(name))
            self.directories.add(name)
            self.tar.addfile(entry(name + "/", tarfile.DIRTYPE, mode, owner))

    def file(self, name, content, mode=0o644):
        self.directory(os.path.dirname(name))
        info = entry(name, tarfile.REGTYPE, mode)
        info.size = len(content)
        self.tar.addfile(info, io.BytesIO(content))

    def tree(self, name, folder):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.file(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def content(self):
        self.tar.close()
        return self.buffer.getvalue()


def layer(program, certificates, zones, licences):
    tar = Layer()
    # The directory of the records, and the inbox for those who mount a tmpfs there. Names let programs print the user.
    tar.directory("cdr", 0o750, USER)
    tar.directory("inbox", 0o700, USER)
    tar.directory("tmp", 0o1777)
    tar.file("etc/passwd", f"root:x:0:0:root:/:/none\ncdrlog:x:{USER}:{USER}:cdrlog:/cdr:/none\n".encode())
    tar.file("etc/group", f"root:x:0:\ncdrlog:x:{USER}:\n".encode())
    tar.file("etc/ssl/certs/ca-certificates.crt", certificates.read_bytes())
    tar.tree("usr/share/zoneinfo", zones)
    tar.tree("usr/share/doc/cdrlog", licences)
    tar.file("usr/bin/cdrlog", program.read_bytes(), 0o755)
    return tar.content()


def to_json(value):
    return json.dumps(value, indent=1, sort_keys=True).encode()


def config(architecture, version, layer_tar):
    return to_json({
        "architecture": architecture,
        "os": "linux",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH)),
        "config": {
            "User": f"{USER}:{USER}",
            "Entrypoint": ["/usr/bin/cdrlog"],
            "Cmd": ["serve"],
            "WorkingDir": "/cdr",
            # A container has a network of its own, so loopback would reach nobody.
            "Env": ["PATH=/usr/bin", "OPENVIDU_CDR_PATH=/cdr", "CDRLOG_LISTEN=0.0.0.0:8787"],
            "ExposedPorts": {"8787/tcp": {}},
            "Volumes": {"/cdr": {}},
            "StopSignal": "SIGTERM",
            # Not of the Open Container Initiative but of Docker and Podman, which read it from here; others ignore it.
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/cdrlog", "health"],
                "Interval": 10 * 10**9,
                "Timeout": 5 * 10**9,
                "StartPeriod": 10 * 10**9,
                "Retries": 3,
            },
            "Labels": {
                "org.opencontainers.image.title": "cdrlog",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0 OR MIT",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer_tar).hexdigest()]},
        "history": [{"created_by": "cli/scripts/release/image.py"}],
    })


class Blobs:
    """What the image consists of, each named by its hash."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def image(architecture, version, layer_tar):
    blobs = Blobs()
    oci = "application/vnd.oci.image"
    configured = blobs.add(f"{oci}.config.v1+json", config(architecture, version, layer_tar))
    packed = blobs.add(f"{oci}.layer.v1.tar+gzip", gzip.compress(layer_tar, 9, mtime=0))
    manifest_type = f"{oci}.manifest.v1+json"
    manifest = blobs.add(manifest_type, to_json({
        "schemaVersion": 2, "mediaType": manifest_type, "config": configured, "layers": [packed],
    }))
    name = f"cdrlog:{version}"
    manifest["platform"] = {"architecture": architecture, "os": "linux"}
    manifest["annotations"] = {
        "io.containerd.image.name": f"docker.io/library/{name}", "org.opencontainers.image.ref.name": version,
    }

    def path(blob):
        return "blobs/sha256/" + blob["digest"].removeprefix("sha256:")

    docker = [{"Config": path(configured), "RepoTags": [name], "Layers": [path(packed)]}]
    return {
        "oci-layout": to_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": to_json({"schemaVersion": 2, "mediaType": f"{oci}.index.v1+json", "manifests": [manifest]}),
        "manifest.json": to_json(docker),
        **dict(sorted(blobs.blobs.items())),
    }


def main():
    if len(sys.argv) != 8:
        sys.exit(__doc__)
    program, architecture, version, certificates, zones, licences, out = sys.argv[1:]
    layer_tar = layer(*map(pathlib.Path, (program, certificates, zones, licences)))
    tar = Layer()
    for name, content in image(architecture, version, layer_tar).items():
        tar.file(name, content)
    pathlib.Path(out).write_bytes(tar.content())


if __name__ == "__main__":
    main()
