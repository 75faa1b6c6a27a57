#!/usr/bin/env python3
"""Checks rendered manifests of Kubernetes, by the schemas of a version and by what cdrlog needs.

    kubectl kustomize FOLDER | check-manifests.py PROGRAM KUBERNETES_VERSION

PROGRAM is cdrlog, with the features that the manifests use: it has to take every argument and variable that a container
of the image cdrlog gets. Needs the packages kubernetes-validate and PyYAML.
"""

import re
import subprocess
import sys

import kubernetes_validate
import yaml

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet"}
# What an operator gives in a Secret is not seen here.
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


class Checker:
    def __init__(self, program):
        self.program = program
        self.faults = []

    def expect(self, holds, where, fault):
        if not holds:
            self.faults.append(f"{where}: {fault}")

    def workload(self, document, disrupted):
        where = f"{document['kind']} {document['metadata']['name']}"
        template = document["spec"]["template"]
        pod = template["spec"]
        labels = template["metadata"]["labels"]
        self.expect(any(labels.items() >= chosen.items() for chosen in disrupted), where, "no PodDisruptionBudget selects it")
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        volumes |= {claim["metadata"]["name"]: claim for claim in document["spec"].get("volumeClaimTemplates", [])}
        containers = pod["containers"] + pod.get("initContainers", [])
        ours = [container for container in containers if container["image"].split(":")[0] == "cdrlog"]
        commands = sorted(container["args"][0] for container in ours)
        self.expect(commands == ["serve", "ship"], where, f"its containers of cdrlog are {commands}")
        for container in containers:
            for mount in container.get("volumeMounts", []):
                self.expect(mount["name"] in volumes, where, f"there is no volume {mount['name']}")
        for container in ours:
            self.container(f"{where}, {container['name']}", container, pod, volumes)

    def container(self, where, container, pod, volumes):
        security = pod.get("securityContext", {}) | container.get("securityContext", {})
        self.expect(security.get("runAsNonRoot") is True and security.get("runAsUser") == 10001, where, "it may be root")
        self.expect(security.get("seccompProfile") == {"type": "RuntimeDefault"}, where, "it has no seccomp profile")
        for name, value in RESTRICTED.items():
            self.expect(security.get(name) == value, where, f"{name} is not {value}")
        self.expect(":" in container["image"], where, "its image has no version")
        self.expect("memory" in container["resources"]["limits"], where, "its memory has no limit")
        self.taken(where, container)
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        if container["args"][0] == "serve":
            variables = {entry["name"]: entry.get("value") for entry in container["env"]}
            self.expect("startupProbe" in container and "livenessProbe" in container, where, "it lacks a probe")
            inbox = mounts.get(variables.get("CDRLOG_INBOX_DIRECTORY"), {})
            self.expect(inbox.get("emptyDir", {}).get("medium") == "Memory", where, "the inbox is not in memory")
            directory = variables["OPENVIDU_CDR_PATH"]
        else:
            directory = container["args"][container["args"].index("--dir") + 1]
        volume = next((mounts[path] for path in mounts if directory == path or directory.startswith(path + "/")), None)
        self.expect(volume is not None and "emptyDir" not in volume, where, f"the record in {directory} is lost with the pod")

    def taken(self, where, container):
        """The program takes the arguments and knows the variables; so it does the command of a probe."""
        probes = [container.get(kind, {}) for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
        calls = [probe["exec"]["command"][1:] for probe in probes if "exec" in probe]
        for arguments in [container["args"], *calls]:
            called = subprocess.run([self.program, *arguments, "--help"], capture_output=True, text=True)
            self.expect(called.returncode == 0, where, f"the program does not take {arguments}: {called.stderr.strip()}")
        known = subprocess.run([self.program, container["args"][0], "--help"], capture_output=True, text=True).stdout
        known = set(re.findall(r"\[env: ([A-Z_]+)=", known))
        for entry in container.get("env", []):
            self.expect(entry["name"] in known, where, f"{entry['name']} is no variable of the program")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, version = sys.argv[1:]
    documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
    checker = Checker(program)
    for document in documents:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            checker.faults.append(f"{document['kind']} {document['metadata']['name']}: {error.message}")
    disrupted = [
        document["spec"]["selector"]["matchLabels"] for document in documents if document["kind"] == "PodDisruptionBudget"
    ]
    workloads = [document for document in documents if document["kind"] in WORKLOADS]
    checker.expect(workloads, "standard input", "there is no workload")
    for document in workloads:
        checker.workload(document, disrupted)
    for fault in checker.faults:
        print(f"error: {fault}", file=sys.stderr)
    print(f"{len(documents)} objects, {len(checker.faults)} faults")
    sys.exit(bool(checker.faults))


if __name__ == "__main__":
    main()
